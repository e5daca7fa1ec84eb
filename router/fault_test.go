package router

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func counter(t testing.TB, m prometheus.Metric) float64 {
	t.Helper()
	var v dto.Metric
	if err := m.Write(&v); err != nil {
		t.Fatal(err)
	}
	if v.Counter != nil {
		return v.Counter.GetValue()
	}
	return v.Gauge.GetValue()
}

func TestKilledWorkersSidsAreUnknownAtOnce(t *testing.T) {
	for _, remote := range []bool{false, true} {
		t.Run(fmt.Sprintf("remote %v", remote), func(t *testing.T) {
			d := directory.NewStatic()
			hosts := cluster(t, d, nil, 1, 1)
			entry, owner := hosts[0], hosts[1]
			if !remote {
				entry = hosts[1]
			}
			w := owner.workers["wkb0"]
			c := dialTo(t, entry.addr)
			sid := w.open()
			q := "/socket.io/?transport=polling&sid=" + sid
			c.send("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", q)
			c.answer("POST")
			w.kill()
			if remote {
				// A kept connection's end may be seen only by the request that is sent over it.
				testkit.Until(t, "the entry has noticed", func() bool {
					b := entry.Router.workers.of(&directory.Worker{ID: "wkb0", Host: "b", Addr: owner.addr})
					b.mu.Lock()
					defer b.mu.Unlock()
					return len(b.idle) == 0 || !b.idle[0].alive()
				})
			}
			for _, m := range []string{"GET", "POST"} {
				c.send("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", m, q)
				resp, body := c.answer(m)
				if resp.StatusCode != 400 || !strings.Contains(body, `"code":1`) {
					t.Errorf("%s: %s %q", m, resp.Status, body)
				}
			}
			if d.Workers().Get("wkb0") != nil {
				t.Error("nobody was told")
			}
			if sid := c.handshake(); sid[:4] != "wka0" {
				t.Errorf("new session at %s", sid[:4])
			}
		})
	}
}

func TestParkedPollOfAKilledWorkerIsUnknown(t *testing.T) {
	for _, remote := range []bool{false, true} {
		t.Run(fmt.Sprintf("remote %v", remote), func(t *testing.T) {
			d := directory.NewStatic()
			hosts := cluster(t, d, nil, 1, 2)
			entry := hosts[1]
			if remote {
				entry = hosts[0]
			}
			w := hosts[1].workers["wkb0"]
			var clients []*testClient
			for range 5 { // they all ask whether it is dead
				c := dialTo(t, entry.addr)
				c.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", w.open())
				receive(t, w.polling)
				clients = append(clients, c)
			}
			w.kill()
			for _, c := range clients {
				if resp, body := c.answer("GET"); resp.StatusCode != 400 || !strings.Contains(body, `"code":1`) || strings.Contains(body, "wkb0") {
					t.Error(resp.Status, body)
				}
				if resp, _ := c.get("/"); resp.StatusCode != 200 {
					t.Error("the connection does not go on:", resp.Status)
				}
			}
			if d.Workers().Get("wkb0") != nil {
				t.Error("nobody was told")
			}
		})
	}
}

// A connection that breaks says nothing of its worker, which its host's door knows to live.
func TestBrokenRemotePollIsNotADeadWorker(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, nil, 1, 1)
	w := hosts[1].workers["wkb0"]
	c := dialTo(t, hosts[0].addr)
	w.becomes(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			panic(http.ErrAbortHandler)
		}
	})
	if resp, _ := c.get("/socket.io/?transport=polling&sid=" + w.open()); resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
	if d.Workers().Get("wkb0") == nil {
		t.Error("called gone")
	}
}

// A killed worker's half-read POST becomes one of an unknown sid; the app's own POST does not run
// twice.
func TestStreamedPostOfAKilledWorker(t *testing.T) {
	h, _ := one(t, 2, nil)
	w := h.workers["wka0"]
	sid := w.open()
	reading := make(chan string, 1)
	w.becomes(func(rw http.ResponseWriter, r *http.Request) {
		r.Body.Read(make([]byte, 1))
		reading <- ""
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	const size = 300_000
	c := dialTo(t, h.addr)
	c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", sid, size, strings.Repeat("x", size/2))
	receive(t, reading)
	w.kill()
	go io.WriteString(c.TCPConn, strings.Repeat("x", size/2)) // the answer may come first
	if resp, body := c.answer("POST"); resp.StatusCode != 400 || !strings.Contains(body, `"worker":"wka1"`) {
		t.Error(resp.Status, body)
	}
}

func TestAppsPostIsNotSentTwice(t *testing.T) {
	h, _ := one(t, 2, nil)
	hits := make(chan string, 10)
	for id, w := range h.workers {
		w.answers(func(rw http.ResponseWriter, r *http.Request) {
			hits <- id
			w.l.Close()
			c, _, _ := rw.(http.Hijacker).Hijack()
			c.Close()
		})
	}
	c := dialTo(t, h.addr)
	c.send("POST /pay HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	if resp, _ := c.answer("POST"); resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
	if len(hits) != 1 {
		t.Errorf("%d times", len(hits))
	}
}

// The worker that closes kept connections costs no request: nothing was written, so it is written
// again.
func TestClosedKeptConnectionsAreReplaced(t *testing.T) {
	h, d := one(t, 1, nil)
	w := h.workers["wka0"]
	c := dialTo(t, h.addr)
	for range 5 {
		if resp, _ := c.get("/"); resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		b := h.Router.workers.of(d.Workers().Get("wka0"))
		testkit.Until(t, "kept", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			return len(b.idle) == 1
		})
		b.mu.Lock()
		for _, u := range b.idle {
			u.Conn.(interface{ CloseWrite() error }).CloseWrite() // the worker sees the end and closes
		}
		b.mu.Unlock()
		testkit.Until(t, "closed", func() bool {
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, u := range b.idle {
				if u.open() {
					return false
				}
			}
			return true
		})
	}
	if w.count("local") < 5 {
		t.Errorf("%d connections", w.count("local"))
	}
}

// open tells whether the other end is.
func (u *workerConn) open() bool {
	open := false
	u.SyscallConn().Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = err == syscall.EAGAIN
	})
	return open
}

// scripted is a worker that answers each connection's bytes as told.
func scripted(t *testing.T, serve func(c net.Conn, br *bufio.Reader)) (*testRouter, *directory.Static) {
	t.Helper()
	d := directory.NewStatic()
	dir := t.TempDir()
	ln := loopback(t)
	l, err := handoff.Listen(filepath.Join(dir, "wka0.sock"), "wka0")
	if err != nil {
		t.Fatal(err)
	}
	d.Set(directory.Worker{ID: "wka0", Host: "a", Addr: ln.Addr().String(), Tags: true})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return startRouter(t, ln, Config{Directory: d, RuntimeDir: dir, HostName: "a", AdvertiseAddr: ln.Addr().String()}), d
}

func TestResponsesThatBreakOff(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		want string // what the client reads; empty: 502
	}{
		"nothing":             {"", ""},
		"half a head":         {"HTTP/1.1 200 OK\r\nContent-", ""},
		"garbage":             {"garbage garbage garbage\r\n\r\n", ""},
		"two lengths":         {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", ""},
		"101 unasked":         {"HTTP/1.1 101 Switching Protocols\r\n\r\n", ""},
		"head, no body":       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
		"half a body":         {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"},
		"half a chunk":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"},
		"until close":         {"HTTP/1.1 200 OK\r\n\r\nabc", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc"},
		"interim first":       {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		"more than its body":  {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"},
		"no reason, HTTP/1.0": {"HTTP/1.0 200 \r\nContent-Length: 1\r\n\r\na", "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\na"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := scripted(t, func(nc net.Conn, br *bufio.Reader) {
				if _, err := http.ReadRequest(br); err == nil {
					io.WriteString(nc, c.raw)
				}
			})
			cl := dialTo(t, r.addr)
			end := ""
			if strings.Contains(c.want, "Connection: close\r\n\r\n") && strings.Contains(c.raw, "Connection: close") {
				end = "Connection: close\r\n"
			}
			cl.send("GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", end)
			if c.want == "" {
				if resp, _ := cl.answer("GET"); resp.StatusCode != 502 {
					t.Error(resp.Status)
				}
				return
			}
			b := make([]byte, len(c.want))
			if _, err := io.ReadFull(cl.br, b); err != nil || string(b) != c.want {
				t.Errorf("%q, %v", b, err)
			}
			if name == "more than its body" || name == "no reason, HTTP/1.0" || name == "interim first" && end == "" {
				return // the client's connection goes on
			}
			cl.ended()
		})
	}
}

// An early answer reaches a client that is still sending.
func TestEarlyAnswer(t *testing.T) {
	r, _ := scripted(t, func(c net.Conn, br *bufio.Reader) {
		if _, err := http.ReadRequest(br); err == nil {
			io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
		}
	})
	c := dialTo(t, r.addr)
	c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n")
	go func() {
		for range 10 {
			if _, err := io.WriteString(c.TCPConn, strings.Repeat("x", 100_000)); err != nil {
				return
			}
		}
	}()
	if resp, body := c.answer("POST"); resp.StatusCode != 413 || body != "big" {
		t.Error(resp.Status, body)
	}
}

// A worker that has answered may take nothing more of the body, and keep its end open.
func TestEarlyAnswerOfAWorkerThatReadsNoMore(t *testing.T) {
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	var conns atomic.Int32
	r, _ := scripted(t, func(c net.Conn, br *bufio.Reader) {
		if conns.Add(1) > 1 {
			http.ReadRequest(br)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfresh")
			return
		}
		if _, err := br.Read(make([]byte, 1<<16)); err != nil { // the head, and some of the body
			return
		}
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
		<-over
	})
	c := dialTo(t, r.addr)
	go func() {
		io.WriteString(c.TCPConn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
		for range 1000 {
			if _, err := io.WriteString(c.TCPConn, strings.Repeat("x", 100_000)); err != nil {
				return
			}
		}
	}()
	if resp, body := c.answer("POST"); resp.StatusCode != 413 || body != "big" || !resp.Close {
		t.Error(resp.Status, body)
	}
	// The worker still waits for the rest of that body: nothing else may be sent there.
	if _, body := dialTo(t, r.addr).get("/"); body != "fresh" {
		t.Error(body)
	}
}

// An interim response is not the answer.
func TestInterimResponseDoesNotEndTheBody(t *testing.T) {
	const size = 10_000_000
	r, _ := scripted(t, func(c net.Conn, br *bufio.Reader) {
		req, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
		n, _ := io.Copy(io.Discard, req.Body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%08d", n)
	})
	c := dialTo(t, r.addr)
	go c.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
	if resp, body := c.answer("POST"); resp.StatusCode != 200 || body != fmt.Sprintf("%08d", size) {
		t.Error(resp.Status, body)
	}
}

// A worker that is stopped (not dead) is not called gone.
func TestStoppedWorkerIsBusyNotGone(t *testing.T) {
	d := directory.NewStatic()
	dir := t.TempDir()
	ln := loopback(t)
	silent, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(dir, "wka0.sock"), Net: "unixpacket"})
	if err != nil {
		t.Skip(err)
	}
	defer silent.Close()
	d.Set(directory.Worker{ID: "wka0", Host: "a", Addr: ln.Addr().String(), Tags: true})
	r := startRouter(t, ln, Config{Directory: d, RuntimeDir: dir, HostName: "a", AdvertiseAddr: ln.Addr().String()})
	c := dialTo(t, r.addr)
	if resp, _ := c.get("/socket.io/?transport=polling&sid=wka0" + strings.Repeat("x", 16)); resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
	good := startWorker(t, dir, "wka1")
	d.Set(*d.Workers().Get("wka0"), directory.Worker{ID: "wka1", Host: "a", Addr: r.addr, Tags: true})
	c = dialTo(t, r.addr)
	for range 4 { // who has no session is served by the other
		if sid := c.handshake(); sid[:4] != good.id {
			t.Error(sid)
		}
	}
	if d.Workers().Get("wka0") == nil {
		t.Error("called gone")
	}
}

// A draining worker behind a door that is closed lives: nothing new gets to it, but its clients are
// not everyone's.
func TestRefusedDoorOfADrainingWorker(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, nil, 1, 1)
	sid := hosts[1].workers["wkb0"].open()
	hosts[1].stop()
	for range hosts[1].done {
	}
	draining := *d.Workers().Get("wkb0")
	draining.State = directory.StateDraining
	d.Set(*d.Workers().Get("wka0"), draining)
	c := dialTo(t, hosts[0].addr)
	if resp, body := c.get("/socket.io/?transport=polling&sid=" + sid); resp.StatusCode != 400 || !strings.Contains(body, `"worker":"wka0"`) {
		t.Error(resp.Status, body)
	}
	if d.Workers().Get("wkb0") == nil {
		t.Error("called gone")
	}
}

// A host's door is held open by its supervisor: a refused connection means that the workers ended
// too.
func TestRefusedDoorMeansGone(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, nil, 1, 1)
	sid := hosts[1].workers["wkb0"].open()
	hosts[1].stop()
	for range hosts[1].done {
	}
	c := dialTo(t, hosts[0].addr)
	if resp, body := c.get("/socket.io/?transport=polling&sid=" + sid); resp.StatusCode != 400 || !strings.Contains(body, `"worker":"wka0"`) {
		t.Error(resp.Status, body)
	}
	if d.Workers().Get("wkb0") != nil {
		t.Error("nobody was told")
	}
	if resp := dialTo(t, hosts[0].addr).upgrade("&sid=" + sid); resp.StatusCode != 400 {
		t.Error(resp.Status)
	}
}

// A client that was accepted a moment ago can't go elsewhere with a request that is on its way.
func TestDrainServesTheFirstRequestOfANewConnection(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.ShutdownTimeout = time.Hour })
	late, never := dialTo(t, h.addr), dialTo(t, h.addr)
	testkit.Until(t, "both wait", func() bool {
		h.conns.mu.Lock()
		defer h.conns.mu.Unlock()
		n := 0
		for c := range h.conns.proxied {
			if c.activity.now() == connFresh {
				n++
			}
			if c.peer.addr.String() == late.LocalAddr().String() {
				c.accepted = time.Now().Add(time.Hour)
			} else {
				c.accepted = time.Now().Add(-time.Hour)
			}
		}
		return n == 2
	})
	h.stop()
	never.ended()
	if resp, _ := late.get("/"); resp.StatusCode != 200 || !resp.Close {
		t.Error(resp.Status, resp.Header)
	}
	for err := range h.done {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestDrainFinishesWhatIsUnderWay(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.ShutdownTimeout = patience })
	w := h.workers["wka0"]
	idle, busy := dialTo(t, h.addr), dialTo(t, h.addr)
	idle.get("/")
	sid := w.open()
	busy.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", sid)
	receive(t, w.polling)
	h.stop()
	idle.ended()
	if _, err := net.Dial("tcp", h.addr); err == nil {
		testkit.Until(t, "no longer accepting", func() bool {
			c, err := net.Dial("tcp", h.addr)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
	}
	w.mu.Lock()
	w.sessions[sid] <- "last words"
	w.mu.Unlock()
	if resp, body := busy.answer("GET"); body != "last words" || !resp.Close {
		t.Error(resp.Status, body)
	}
	for err := range h.done {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestDrainDelayServesOn(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.DrainDelay = time.Hour })
	c := dialTo(t, h.addr)
	c.get("/")
	ctx, over := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.delay(ctx)
	}()
	testkit.Until(t, "unready", func() bool { _, why := h.Ready(); return why == "draining" })
	if resp, _ := c.get("/"); resp.StatusCode != 200 || !resp.Close {
		t.Error(resp.Status, resp.Close)
	}
	if resp, _ := dialTo(t, h.addr).get("/"); resp.StatusCode != 200 || !resp.Close {
		t.Error(resp.Status, resp.Close)
	}
	over()
	<-done
	h.cfg.DrainDelay = 0
}

func TestDrainCutsAtTheDeadline(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.ShutdownTimeout = 100 * time.Millisecond })
	w := h.workers["wka0"]
	poll, slow := dialTo(t, h.addr), dialTo(t, h.addr)
	poll.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", w.open())
	slow.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
	receive(t, w.polling)
	h.stop()
	poll.ended()
	slow.ended()
	for range h.done {
	}
}

// flaky is a listener that runs out of descriptors.
type flaky struct {
	net.Listener
	fails chan struct{}
}

func (f *flaky) Accept() (net.Conn, error) {
	select {
	case <-f.fails:
		return nil, &net.OpError{Op: "accept", Err: &osSyscallError{syscall.EMFILE}}
	default:
		return f.Listener.Accept()
	}
}

type osSyscallError struct{ error }

func (e *osSyscallError) Unwrap() error { return e.error }

func TestAcceptSurvivesRunningOutOfDescriptors(t *testing.T) {
	ln := &flaky{loopback(t), make(chan struct{}, 5)}
	for range 5 {
		ln.fails <- struct{}{}
	}
	d := directory.NewStatic()
	r := startRouter(t, ln, Config{Directory: d})
	c := dialTo(t, r.addr)
	if resp, _ := c.get("/"); resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
	if n := counter(t, r.metrics.acceptErrors); n != 5 {
		t.Errorf("%v accept errors", n)
	}
}

type deaf struct{ net.Listener }

func (deaf) Accept() (net.Conn, error) { return nil, errors.New("no good") }

func TestServeReportsABrokenListener(t *testing.T) {
	r, err := New(Config{Directory: directory.NewStatic()})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Serve(context.Background(), deaf{loopback(t)}, loopback(t)); err == nil || !strings.Contains(err.Error(), "no good") {
		t.Error(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	_, err := New(Config{Balance: "best", Path: "x", RuntimeDir: "rel", MaxHeadBytes: 1})
	for _, want := range []string{"Directory", "Balance", "Path", "RuntimeDir", "MaxHeadBytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
}

func TestNothingIsLeftOpen(t *testing.T) {
	before := fds(t)
	t.Run("traffic", func(t *testing.T) {
		hosts := cluster(t, directory.NewStatic(), nil, 1, 1)
		for range 20 {
			c := dialTo(t, hosts[0].addr)
			sid := c.handshake()
			c.upgrade("&sid=" + sid)
			c.echoes("x")
			c = dialTo(t, hosts[1].addr)
			c.get("/socket.io/?transport=polling&sid=none")
		}
	})
	testkit.Until(t, "all closed", func() bool { return fds(t) <= before+1 })
}
