package router

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// benchWorker answers every request at once, with as little work as can be: what is measured is the
// router, its client and the kernel.
func benchWorker(b *testing.B, dir, id string) {
	l, err := handoff.Listen(filepath.Join(dir, id+".sock"), id)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: 2\r\nCache-Control: no-store\r\n\r\nok")
	switching := []byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 4096)
				var h http1.Head
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if _, err := h.ParseRequest(buf[:n], 0); err == nil && h.Upgrade {
						c.Write(switching)
						for {
							n, err := c.Read(buf)
							if err != nil {
								return
							}
							c.Write(buf[:n])
						}
					}
					if !bytes.Contains(buf[:n], []byte("&park")) {
						c.Write(answer)
					}
				}
			}()
		}
	}()
}

func benchHosts(b *testing.B) (entry *testRouter, sid string) {
	d := directory.NewStatic()
	var lns []net.Listener
	var dirs []string
	var workers []directory.Worker
	for _, name := range []string{"a", "b"} {
		ln, dir := loopback(b), b.TempDir()
		benchWorker(b, dir, "wk"+name+"0")
		workers = append(workers, directory.Worker{ID: "wk" + name + "0", Host: name, Addr: ln.Addr().String(), Tags: true})
		lns, dirs = append(lns, ln), append(dirs, dir)
	}
	d.Set(workers...)
	for i, name := range []string{"a", "b"} {
		r := startRouter(b, lns[i], Config{Directory: d, RuntimeDir: dirs[i], HostName: name, AdvertiseAddr: lns[i].Addr().String()})
		if i == 0 {
			entry = r
		}
	}
	return entry, directory.MintSID("wka0")
}

// benchRequests sends one request after another over one connection.
func benchRequests(b *testing.B, addr string, request []byte) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if n, err := c.Read(buf); err != nil || n < 12 || string(buf[9:12]) != "200" {
			b.Fatalf("%q, %v", buf[:n], err)
		}
	}
}

func BenchmarkProxiedPoll(b *testing.B) {
	r, sid := benchHosts(b)
	benchRequests(b, r.addr, fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n", sid))
}

func BenchmarkProxiedPost(b *testing.B) {
	r, sid := benchHosts(b)
	benchRequests(b, r.addr, fmt.Appendf(nil, "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n%060d", sid, 0))
}

func BenchmarkProxiedPollAtAnotherHost(b *testing.B) {
	r, _ := benchHosts(b)
	benchRequests(b, r.addr, fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n", directory.MintSID("wkb0")))
}

// BenchmarkProxiedPollOverTLS goes to a worker of this host; AtAnotherHost, through two routers,
// both hops encrypted.
func BenchmarkProxiedPollOverTLS(b *testing.B) { benchTLS(b, "wka0") }

func BenchmarkProxiedPollOverTLSAtAnotherHost(b *testing.B) { benchTLS(b, "wkb0") }

func benchTLS(b *testing.B, worker string) {
	d := directory.NewStatic()
	hosts := cluster(b, d, secured(b), 0, 0)
	var all []directory.Worker
	for i, h := range hosts {
		id := "wk" + string(rune('a'+i)) + "0"
		benchWorker(b, h.dir, id)
		all = append(all, directory.Worker{ID: id, Host: string(rune('a' + i)), Addr: h.addr, Handoff: id, Tags: true})
	}
	d.Set(all...)
	c := secureTo(b, hosts[0].addr, "x")
	c.SetDeadline(time.Time{})
	request := fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n", directory.MintSID(worker))
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		c.over.Write(request)
		if n, err := c.over.Read(buf); err != nil || string(buf[9:12]) != "200" {
			b.Fatalf("%q, %v", buf[:n], err)
		}
	}
}

// BenchmarkHandedOverUpgrade includes the connect, the worker's goroutine and the close.
func BenchmarkHandedOverUpgrade(b *testing.B) {
	r, sid := benchHosts(b)
	request := fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\n%s\r\n", sid, upgradeFields)
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			b.Fatal(err)
		}
		c.Write(request)
		if n, err := c.Read(buf); err != nil || string(buf[9:12]) != "101" {
			b.Fatalf("%q, %v", buf[:n], err)
		}
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

func BenchmarkRelayedEcho(b *testing.B) {
	r, _ := benchHosts(b)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /socket.io/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\n%s\r\n", directory.MintSID("wkb0"), upgradeFields)
	br := bufio.NewReader(c)
	for line := ""; line != "\r\n"; {
		if line, err = br.ReadString('\n'); err != nil {
			b.Fatal(err)
		}
	}
	msg := make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(msg)
		if _, err := io.ReadFull(br, msg); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDirectEcho is what a relayed echo costs without the relay.
func BenchmarkDirectEcho(b *testing.B) {
	ln := loopback(b)
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err == nil {
			io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			c.Close()
		}
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	msg := make([]byte, 128)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(msg)
		if _, err := io.ReadFull(c, msg); err != nil {
			b.Fatal(err)
		}
	}
}

// A request through the router allocates nothing, its look-up in the directory included.
func TestProxiedPollAllocatesNothing(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measured without the race detector")
	}
	res := testing.Benchmark(BenchmarkProxiedPoll)
	if n := res.AllocsPerOp(); n > 0 {
		t.Errorf("%d allocations (%d bytes) per request", n, res.AllocedBytesPerOp())
	}
}
