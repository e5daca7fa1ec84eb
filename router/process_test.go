package router

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
)

// The figures of a router are those of a process of its own: this test binary started again, with
// the routers' side of the configuration in processEnv. Its CPU time and memory are read from
// /proc.
const processEnv = "SIDEREAL_TEST_ROUTER"

type processConfig struct {
	RuntimeDir string
	Workers    []directory.Worker
	Secret     string
	Pair       KeyPair // empty: no TLS
	Limit      uint64  // of file descriptors; 0: as it is
	Assumed    int     // Config.Descriptors
}

// sharedSecret is a Static whose secret two processes know.
type sharedSecret struct {
	*directory.Static
	secret string
}

func (s sharedSecret) Secret(context.Context) (string, error) { return s.secret, nil }
func (s sharedSecret) Secrets() []string                      { return []string{s.secret} }
func (s sharedSecret) Accepts(_ context.Context, shown string) bool {
	return shown == s.secret
}

// runRouterProcess is the child: it prints its address and ends with its standard input.
func runRouterProcess() {
	var pc processConfig
	if err := json.Unmarshal([]byte(os.Getenv(processEnv)), &pc); err != nil {
		panic(err)
	}
	if pc.Limit > 0 {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: pc.Limit, Max: pc.Limit}); err != nil {
			panic(err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	cfg := Config{Descriptors: pc.Assumed, Directory: sharedSecret{directory.NewStatic(pc.Workers...), pc.Secret}, RuntimeDir: pc.RuntimeDir, HostName: "a", AdvertiseAddr: "none"}
	if pc.Pair.Cert != "" {
		if cfg.Certificates, err = OpenCertificates(pc.Pair); err != nil {
			panic(err)
		}
	}
	r, err := New(cfg)
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		for in := bufio.NewScanner(os.Stdin); in.Scan(); { // asked to tidy up before it is measured
			for range 3 { // a stack halves with each collection
				runtime.GC()
			}
			debug.FreeOSMemory()
			fmt.Println()
		}
	}()
	fmt.Println(ln.Addr())
	r.cfg.ShutdownTimeout = tick
	r.Serve(ctx, ln)
}

type routerProcess struct {
	addr string
	pid  int
	in   io.Writer
	out  *bufio.Reader
}

// startProcess starts a router for one worker of its own, wka0, and one of another host, wkb0. Over
// TLS, if there is a pair.
func startProcess(b *testing.B, pair KeyPair) *routerProcess {
	b.Helper()
	dir, other := b.TempDir(), b.TempDir()
	benchWorker(b, dir, "wka0")
	benchWorker(b, other, "wkb0")
	door := loopback(b)
	secret := "a secret of two processes"
	startRouter(b, door, Config{Directory: sharedSecret{directory.NewStatic(), secret}, RuntimeDir: other, HostName: "b", AdvertiseAddr: door.Addr().String()})
	return process(b, processConfig{RuntimeDir: dir, Secret: secret, Pair: pair, Workers: []directory.Worker{
		{ID: "wka0", Host: "a", Addr: "none", Tags: true},
		{ID: "wkb0", Host: "b", Addr: door.Addr().String(), Tags: true},
	}})
}

// process starts a router of its own process.
func process(b testing.TB, cfg processConfig) *routerProcess {
	b.Helper()
	env, err := json.Marshal(cfg)
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), processEnv+"="+string(env))
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	br := bufio.NewReader(out)
	line, err := br.ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return &routerProcess{strings.TrimSpace(line), cmd.Process.Pid, in, br}
}

// cpu is the process's time in seconds, in ticks of 10 ms.
func (p *routerProcess) cpu(b *testing.B) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		b.Skip("needs /proc")
	}
	f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return float64(user+system) / 100
}

// memory is the process's proportional set in bytes, garbage collected.
func (p *routerProcess) memory(b *testing.B) float64 {
	fmt.Fprintln(p.in)
	if _, err := p.out.ReadString('\n'); err != nil {
		b.Fatal(err)
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.pid))
	if err != nil {
		b.Skip("needs /proc")
	}
	_, rest, _ := strings.Cut(string(raw), "Pss:")
	kb, _ := strconv.Atoi(strings.Fields(rest)[0])
	return float64(kb) * 1024
}

// BenchmarkProcessCPU reports the router's own CPU time: requests at 50 connections, handovers at
// 8, in a closed loop.
func BenchmarkProcessCPU(b *testing.B) {
	for name, target := range map[string]string{"poll": "wka0", "poll at another host": "wkb0"} {
		b.Run(name, func(b *testing.B) {
			p := startProcess(b, KeyPair{})
			request := fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=polling&t=Pabcdef&sid=%s HTTP/1.1\r\nHost: chat.example.com\r\nAccept: */*\r\nUser-Agent: Mozilla/5.0\r\nCookie: a=b\r\n\r\n", directory.MintSID(target))
			const conns = 50
			before := p.cpu(b)
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range conns {
				wg.Go(func() {
					c, err := net.Dial("tcp", p.addr)
					if err != nil {
						b.Error(err)
						return
					}
					defer c.Close()
					buf := make([]byte, 4096)
					for range (b.N + i) / conns {
						c.Write(request)
						if n, err := c.Read(buf); err != nil || string(buf[9:12]) != "200" {
							b.Errorf("%q, %v", buf[:n], err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric((p.cpu(b)-before)*1e6/float64(b.N), "router-µs/op")
		})
	}
	b.Run("relayed echo", func(b *testing.B) {
		p := startProcess(b, KeyPair{})
		const conns = 50
		var all []net.Conn
		for range conns {
			c, err := net.Dial("tcp", p.addr)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "GET /socket.io/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\n%s\r\n", directory.MintSID("wkb0"), upgradeFields)
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				b.Fatal(err)
			}
			all = append(all, c)
		}
		before := p.cpu(b)
		b.ResetTimer()
		var wg sync.WaitGroup
		for i, c := range all {
			wg.Go(func() {
				msg := make([]byte, 128)
				for range (b.N + i) / conns {
					c.Write(msg)
					if _, err := io.ReadFull(c, msg); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b.ReportMetric((p.cpu(b)-before)*1e6/float64(b.N), "router-µs/op")
	})
	b.Run("handover", func(b *testing.B) {
		p := startProcess(b, KeyPair{})
		request := fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\n%s\r\n", directory.MintSID("wka0"), upgradeFields)
		const clients = 8
		before := p.cpu(b)
		b.ResetTimer()
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				buf := make([]byte, 4096)
				for range (b.N + i) / clients {
					c, err := net.Dial("tcp", p.addr)
					if err != nil {
						b.Error(err)
						return
					}
					c.Write(request)
					if n, err := c.Read(buf); err != nil || string(buf[9:12]) != "101" {
						b.Errorf("%q, %v", buf[:n], err)
						return
					}
					c.(*net.TCPConn).SetLinger(0)
					c.Close()
				}
			})
		}
		wg.Wait()
		b.ReportMetric((p.cpu(b)-before)*1e6/float64(b.N), "router-µs/op")
	})
}

// BenchmarkProcessMemory reports the router's memory for each of 2,000 connections: idle after a
// request, passed on, with a parked poll, and relayed, for another host or since it came over TLS.
func BenchmarkProcessMemory(b *testing.B) {
	const conns = 2000
	for name, request := range map[string]string{
		"idle":   "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"passed": "GET /socket.io/?transport=websocket&sid=" + directory.MintSID("wka0") + " HTTP/1.1\r\n" + upgradeFields + "\r\n",
		"poll":   "GET /socket.io/?transport=polling&sid=" + directory.MintSID("wka0") + "&park HTTP/1.1\r\nHost: x\r\n\r\n",
		"TLS":    "GET /socket.io/?transport=websocket&sid=" + directory.MintSID("wka0") + " HTTP/1.1\r\n" + upgradeFields + "\r\n",
		"relay":  "GET /socket.io/?transport=websocket&sid=" + directory.MintSID("wkb0") + " HTTP/1.1\r\n" + upgradeFields + "\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var pair KeyPair
				if name == "TLS" {
					pair = writePair(b, b.TempDir(), "x")
				}
				p := startProcess(b, pair)
				before := p.memory(b)
				buf := make([]byte, 4096)
				var all []net.Conn
				for range conns {
					c, err := net.Dial("tcp", p.addr)
					if err != nil {
						b.Fatal(err)
					}
					if name == "TLS" {
						c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
					}
					all = append(all, c)
					io.WriteString(c, request)
					if name == "poll" {
						continue // parked
					}
					if _, err := c.Read(buf); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric((p.memory(b)-before)/conns, "router-B/conn")
				for _, c := range all {
					c.Close()
				}
			}
		})
	}
}
