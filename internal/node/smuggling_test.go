package node

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// sight is a request as a program has read it.
type sight struct {
	Path   string
	For    []string // X-Forwarded-For
	Client []string // Sidereal-Client
	At     string   // where it came from, as the app is told

	Patient bool // its connection is taken for a router's
}

const (
	upgradeFields = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	// forged is a request that no router has read: it says itself where it comes from.
	forged = "GET /forged HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\nSidereal-Client: 203.0.113.9:9\r\n\r\n"
)

// attacks are the ways in which a client may send more after an upgrade.
var attacks = map[string][]string{
	"the same segment":    {"%s" + forged},
	"a later segment":     {"%s", forged},
	"both":                {"%s" + forged, forged + forged},
	"in the middle of it": {"%s" + forged[:20], forged[20:]},
	"WebSocket frames":    {"%s\x81\x85\x00\x00\x00\x00hello", "\x81\x85\x00\x00\x00\x00hello"},
	"a pile":              {"%s" + strings.Repeat(forged, 200)},
}

// attack sends an upgrade of target, and what else there is, and returns everything that comes
// back. Between segments it waits for read.
func attack(t *testing.T, addr, target string, segments []string, read func(n int)) (*http.Response, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	for i, s := range segments {
		if rest, ok := strings.CutPrefix(s, "%s"); ok {
			s = "GET " + target + " HTTP/1.1\r\n" + upgradeFields + "\r\n" + rest
		}
		if _, err := io.WriteString(c, s); err != nil {
			break // it was closed
		}
		read(i)
	}
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, &http.Request{Method: "GET"})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("the answer was cut: %v", err)
	}
	c.(*net.TCPConn).CloseWrite()
	rest, err := io.ReadAll(br)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) { // what the server did not read resets the connection
		t.Errorf("the connection stays open: %v", err)
	}
	return resp, string(body) + string(rest)
}

// seenBy asks a program which requests it has read.
func seenBy(t *testing.T, url string) (list []sight) {
	t.Helper()
	status, body := get(t, url+"/seen")
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 {
		t.Fatalf("%d %q: %v", status, body, err)
	}
	return list
}

// unforged checks that a program was shown nothing but what a router wrote. Each request comes from
// here.
func unforged(t *testing.T, list []sight) {
	t.Helper()
	for _, s := range list {
		if slices.ContainsFunc(append(append(s.For, s.Client...), s.At), func(v string) bool { return strings.Contains(v, "203.0.113.9") }) {
			t.Errorf("the program believes the client of %+v", s)
		}
	}
}

// untold checks that no request but those named has reached a program.
func untold(t *testing.T, list []sight) {
	t.Helper()
	for _, s := range list {
		if s.Path == "/forged" {
			t.Errorf("a request that no router has read reached the program: %+v", s)
			return
		}
	}
}

// program starts a server, and tells the host of it as of a program with a port.
func (w *world) program(addr string) {
	w.t.Helper()
	w.ids++
	id := strconv.Itoa(w.ids)
	told, err := json.Marshal(lifeline.PortTold{ID: id, Name: "program", Slot: w.ids, Addr: addr})
	if err != nil {
		w.t.Fatal(err)
	}
	w.told(lifeline.Told{Key: lifeline.Port, Value: string(told)})
	w.await(id, lifeline.ChildReady)
}

// python starts testdata/program.py, and returns its address.
func (w *world) python() string {
	w.t.Helper()
	testkit.Need(w.t, "python3")
	port := strconv.Itoa(testkit.FreePort(w.t))
	cmd := exec.Command("python3", "testdata/program.py", port)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return "127.0.0.1:" + port
}

// ignorant starts a server that does what Python's does: it ignores upgrades, and keeps its
// connections whatever is asked.
func ignorant(t *testing.T) string {
	t.Helper()
	l := listenLocal(t)
	var mu sync.Mutex
	var seen []sight
	var serving sync.WaitGroup
	conns := map[net.Conn]struct{}{}
	serve := func(c net.Conn) {
		defer c.Close()
		for br := bufio.NewReader(c); ; {
			req, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			mu.Lock()
			seen = append(seen, sight{Path: req.RequestURI, For: req.Header["X-Forwarded-For"], Client: req.Header["Sidereal-Client"]})
			body := []byte(req.RequestURI)
			if req.RequestURI == "/seen" {
				body, _ = json.Marshal(seen)
			}
			mu.Unlock()
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%s", len(body), body)
		}
	}
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = struct{}{}
			mu.Unlock()
			serving.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return l.Addr().String()
}

// TestNothingIsSmuggledToPrograms: what follows an upgrade that a program does not take reaches
// nobody unread.
func TestNothingIsSmuggledToPrograms(t *testing.T) {
	for name, start := range map[string]func(w *world) string{
		"python": (*world).python,
		"go":     func(w *world) string { return ignorant(w.t) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.t = t
			w.program(start(w))
			url := w.router("app", 1)
			for name, segments := range attacks {
				t.Run(name, func(t *testing.T) {
					resp, body := attack(t, url[len("http://"):], "/first", segments, func(int) {
						testkit.Until(t, "the upgrade to be read", func() bool { return slices.ContainsFunc(seenBy(t, url), isFor("/first")) })
					})
					if resp.StatusCode != 200 || body != "/first" {
						t.Errorf("%s %q", resp.Status, body)
					}
					list := seenBy(t, url)
					unforged(t, list)
					untold(t, list)
				})
			}
		})
	}
}

// TestNothingIsSmuggledToNode: nor to a Node worker, whether its app takes upgrades or not.
func TestNothingIsSmuggledToNode(t *testing.T) {
	for _, node := range []string{"", "18", "22", "24"} {
		for _, mode := range []string{"none", "refuse"} {
			t.Run("node "+node+" "+mode, func(t *testing.T) {
				w := newWorld(t)
				h := how{script: "testdata/upgrades.js", env: []string{"PORT=" + strconv.Itoa(testkit.FreePort(t)), "UPGRADES=" + mode}}
				if node != "" {
					h.node = nodeOf(t, node)
				}
				w.workers(1, h)
				url := w.router("app", 1)
				for name, segments := range attacks {
					if node == "" || name == "a later segment" {
						w.attackNode(t, url, mode, name, segments)
					}
				}
				if testutil.ToFloat64(w.metrics.connections.WithLabelValues("client")) == 0 {
					t.Error("no connection was given to the worker")
				}
			})
		}
	}
}

// TestNothingIsSmuggledWithoutTheScript: a process in which our script does not run gets no
// client's connection itself.
func TestNothingIsSmuggledWithoutTheScript(t *testing.T) {
	w := newWorld(t)
	w.workers(1, how{script: "testdata/upgrades.js", env: []string{"PORT=" + strconv.Itoa(testkit.FreePort(t)), "UPGRADES=both"}, bare: true})
	url := w.router("app", 1)
	for name, segments := range attacks {
		w.attackNode(t, url, "refuse", name, segments)
	}
	echoes(t, url[len("http://"):], "/ws")
}

// attackNode attacks a worker that does not take upgrades. The first one to a worker is relayed by
// the router, and later ones are given to it.
func (w *world) attackNode(t *testing.T, url, mode, name string, segments []string) {
	for round := range 2 {
		for _, target := range []string{"/first", "/parked"} {
			t.Run(fmt.Sprintf("%s to %s, round %d", name, target, round), func(t *testing.T) {
				before := len(seenBy(t, url))
				resp, body := attack(t, url[len("http://"):], target, segments, func(i int) {
					testkit.Until(t, "the upgrade to be read", func() bool { return slices.ContainsFunc(seenBy(t, url)[before:], isFor(target)) })
					if i == len(segments)-1 && target == "/parked" {
						seenBy(t, url) // what else there is, too
						get(t, url+"/release")
					}
				})
				if mode == "refuse" && resp.StatusCode != 400 || mode == "none" && (resp.StatusCode != 200 || !strings.HasPrefix(body, target)) {
					t.Errorf("%s %q", resp.Status, body)
				}
				unforged(t, seenBy(t, url)) // through the router anybody may ask for what he likes
			})
		}
	}
}

func isFor(path string) func(sight) bool { return func(s sight) bool { return s.Path == path } }

// TestNodeUpgrades: an app that takes upgrades gets everything, in order; one that does not answers
// at full length.
func TestNodeUpgrades(t *testing.T) {
	for _, node := range []string{"", "18", "22", "24"} {
		t.Run("node "+node, func(t *testing.T) {
			w := newWorld(t)
			port := testkit.FreePort(t)
			h := how{script: "testdata/upgrades.js", env: []string{"PORT=" + strconv.Itoa(port), "UPGRADES=accept"}}
			if node != "" {
				h.node = nodeOf(t, node)
			}
			p := w.node(h)
			w.await(p.id, lifeline.ChildReady)
			url := w.router("app", 1)
			for range 3 {
				echoes(t, url[len("http://"):], "/ws")
			}
			p.kill()
			w.gone(p.id)
			h.env[1] = "UPGRADES=none"
			w.workers(1, h)
			url = w.router("app", 1)
			for range 3 {
				resp, body := attack(t, url[len("http://"):], "/big", []string{"%s"}, func(int) {})
				if resp.StatusCode != 200 || len(body) != 1<<22 {
					t.Errorf("%s, %d bytes", resp.Status, len(body))
				}
			}
		})
	}
}

// TestResetClientIsNoRouter: a connection that its client has reset has no address any more. A
// router's pair never had one, and the process must not take the one for the other.
func TestResetClientIsNoRouter(t *testing.T) {
	w := newWorld(t)
	p := w.workers(1, how{script: "testdata/upgrades.js", env: []string{"PORT=" + strconv.Itoa(testkit.FreePort(t)), "UPGRADES=refuse"}})[0]
	url := w.router("app", 1)
	attack(t, url[len("http://"):], "/met", []string{"%s"}, func(int) {})
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", url[len("http://"):])
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /reset HTTP/1.1\r\n%s\r\n", upgradeFields)
	testkit.Until(t, "the connection to be given away", func() bool {
		return testutil.ToFloat64(w.metrics.connections.WithLabelValues("client")) > 0
	})
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "the request to be read", func() bool { return slices.ContainsFunc(seenBy(t, url), isFor("/reset")) })
	for _, s := range seenBy(t, url) {
		if s.Path == "/reset" && (s.At != "" || s.Patient) {
			t.Errorf("%+v: want no address, and no trust", s)
		}
		if s.Path == "/seen" && !s.Patient {
			t.Errorf("%+v: want a router's connection", s)
		}
	}
}

// echoes checks that an upgrade is taken and everything comes back, what came early too.
func echoes(t *testing.T, addr, target string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\n%s\r\nearly", target, upgradeFields)
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, &http.Request{Method: "GET"})
	if err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v %v", resp, err)
	}
	want := []byte("early" + strings.Repeat("late ", 40_000))
	go c.Write(want[len("early"):])
	got := make([]byte, len(want))
	if _, err := io.ReadFull(br, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes came back, %v", len(got), err)
	}
}
