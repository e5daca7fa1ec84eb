package router

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// stalled is how many bodies the router waits for.
func (r *Router) stalled() (n int) {
	r.budget.mu.Lock()
	defer r.budget.mu.Unlock()
	for p := range r.budget.uploads {
		if p.waits.Load() != 0 {
			n++
		}
	}
	return n
}

// between reports whether the client's connection is between two requests, or gone.
func (r *Router) between(client string) bool {
	r.conns.mu.Lock()
	defer r.conns.mu.Unlock()
	for c := range r.conns.proxied {
		if c.nc.RemoteAddr().String() == client {
			return c.activity.idleSince() != 0
		}
	}
	return true
}

func (r *Router) waiting() (silent, begun int) {
	r.conns.mu.Lock()
	defer r.conns.mu.Unlock()
	return r.conns.silent.n, r.conns.begun.n
}

// TestSilentConnectionsGiveWay: a router with few descriptors serves its sessions and all newcomers
// while somebody opens connections without end and says nothing.
func TestSilentConnectionsGiveWay(t *testing.T) {
	for name, cfg := range map[string]processConfig{
		"it knows its limit":            {Limit: 256},
		"somebody else has descriptors": {Limit: 128, Assumed: 4096}, // accept fails, and what is opened to workers
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			worker := startWorker(t, dir, "wka0")
			cfg.RuntimeDir, cfg.Workers = dir, []directory.Worker{{ID: "wka0", Host: "a", Addr: "none", Tags: true}}
			p := process(t, cfg)
			type session struct {
				post *testClient
				sid  string
			}
			var sessions []session
			for range 20 {
				c := dialTo(t, p.addr)
				sessions = append(sessions, session{c, c.handshake()})
			}
			var silent []*testClient
			for range 300 {
				silent = append(silent, dialTo(t, p.addr))
			}
			for i, s := range sessions {
				for range 5 {
					silent = append(silent, dialTo(t, p.addr))
				}
				poll := dialTo(t, p.addr) // a newcomer, for a session that exists
				poll.send("GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", s.sid)
				receive(t, worker.polling)
				s.post.send("POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n4x", s.sid)
				if resp, body := s.post.answer("POST"); resp.StatusCode != 200 {
					t.Fatalf("session %d: %s %q", i, resp.Status, body)
				}
				if resp, body := poll.answer("GET"); resp.StatusCode != 200 || body != "wka0 got 2" {
					t.Fatalf("session %d: poll: %s %q", i, resp.Status, body)
				}
				dialTo(t, p.addr).handshake()
			}
			silent[0].ended() // the oldest
		})
	}
}

// TestNewcomersGiveWayInOrder: the limit is a setting; who said nothing goes before who said
// something, and the older first. Who has had a request is no newcomer any more.
func TestNewcomersGiveWayInOrder(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.MaxSilent = 3 })
	served := dialTo(t, h.addr)
	served.get("/app")
	begun := dialTo(t, h.addr)
	begun.send("GET ")
	silent := func(want int) {
		testkit.Until(t, "newcomers are counted", func() bool { s, b := h.waiting(); return s == want && b == 1 })
	}
	silent(0)
	first := dialTo(t, h.addr)
	silent(1)
	second := dialTo(t, h.addr)
	silent(2)
	third := dialTo(t, h.addr)
	first.ended()
	silent(2)
	fourth := dialTo(t, h.addr)
	second.ended()
	fourth.get("/app") // keeps its place, and leaves one
	silent(1)
	begun.send("/app HTTP/1.1\r\nHost: x\r\n\r\n")
	for name, c := range map[string]*testClient{"begun": begun, "served": served, "third": third, "fourth": fourth} {
		if c != begun {
			c.send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
	if s, b := h.waiting(); s+b != 0 {
		t.Errorf("%d and %d newcomers are left", s, b)
	}
	if n := counter(t, h.metrics.evicted.WithLabelValues("newcomer")); n != 2 {
		t.Errorf("%v gave way", n)
	}
}

// TestSilentConnectionsDontFillMaxConnections: at that limit, too, who says nothing gives way.
func TestSilentConnectionsDontFillMaxConnections(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.MaxConnections = 2 })
	a, b := dialTo(t, h.addr), dialTo(t, h.addr)
	testkit.Until(t, "both are counted", func() bool { s, _ := h.waiting(); return s == 2 })
	if resp, _ := dialTo(t, h.addr).get("/app"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	a.ended()
	if resp, _ := b.get("/app"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

// pending is a body that never ends by itself.
type pending struct{ ctx context.Context }

func (p pending) Read([]byte) (int, error) {
	<-p.ctx.Done()
	return 0, io.EOF
}

// TestStreamsLeaveRoom: a few HTTP/2 connections with as many unfinished requests as they may have
// don't take the descriptors that others need.
func TestStreamsLeaveRoom(t *testing.T) {
	const most = 240
	h, _ := one(t, 1, func(cfg *Config) {
		secured(t)(cfg)
		cfg.Descriptors = most
	})
	ctx, stop := context.WithCancel(t.Context())
	var attack sync.WaitGroup
	defer attack.Wait()
	defer stop()
	var sent, refused atomic.Int64
	const conns, streams = 8, 100
	for range conns {
		c := overH2(t, h.addr)
		c.must("GET", "/app", nil) // one connection, not one for each of the first requests
		for range streams {
			attack.Go(func() {
				sent.Add(1)
				resp, err := c.do(ctx, "POST", "/app", pending{ctx})
				if err != nil {
					return
				}
				if resp.StatusCode == 503 && resp.Header.Get("Retry-After") != "" {
					refused.Add(1)
				}
				resp.Body.Close()
			})
		}
	}
	testkit.Until(t, "every request is held or refused", func() bool {
		return sent.Load() == conns*streams && refused.Load()+h.budget.using.Load() >= conns*streams
	})
	if n := h.budget.held(); n > most*3/4 {
		t.Errorf("%d descriptors of %d are taken", n, most)
	}
	for i := range 10 {
		c := secureTo(t, h.addr, "x")
		if resp, _ := c.get("/app"); resp.StatusCode != 200 {
			t.Fatalf("newcomer %d: %s", i, resp.Status)
		}
	}
	other := overH2(t, h.addr)
	for range fewStreams {
		if resp, _ := other.must("GET", "/app", nil); resp.StatusCode != 200 {
			t.Errorf("over HTTP/2: %s", resp.Status)
		}
	}
	if counter(t, h.metrics.limited[byDescriptors]) == 0 {
		t.Error("nothing is counted")
	}
	stop()
	attack.Wait()
	testkit.Until(t, "all places are free again", func() bool { return h.budget.using.Load() == 0 && h.conns.extra.Load() == 0 })
}

// TestStreamsCountAsConnections: a further request of an HTTP/2 connection counts for
// MaxConnections, and leaves places.
func TestStreamsCountAsConnections(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		secured(t)(cfg)
		cfg.MaxConnections = 20
	})
	worker := h.workers["wka0"]
	waiting, release := worker.slow()
	c := overH2(t, h.addr)
	var requests sync.WaitGroup
	defer requests.Wait()
	defer close(release)
	var refused atomic.Int64
	for range 20 {
		requests.Go(func() {
			if resp, err := c.do(t.Context(), "GET", handshakeTarget, nil); err == nil {
				if resp.StatusCode == 503 {
					refused.Add(1)
				}
				resp.Body.Close()
			}
		})
	}
	testkit.Until(t, "all are held or refused", func() bool { return int(refused.Load())+len(waiting) == 20 })
	if n := len(waiting); n < fewStreams || n > 10 {
		t.Errorf("%d requests are let in", n)
	}
	if n := counter(t, h.metrics.limited[byConnections]); int64(n) != refused.Load() {
		t.Errorf("%v counted, %d refused", n, refused.Load())
	}
	n := len(waiting)
	secureTo(t, h.addr, "x").send("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", handshakeTarget)
	testkit.Until(t, "somebody else is let in", func() bool { return len(waiting) == n+1 })
}

// TestStalledBodiesGiveWay: where all places at workers are taken, those give way whose client
// sends nothing.
func TestStalledBodiesGiveWay(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.Descriptors = 24 })
	var stalled []*testClient
	for i := range 12 {
		c := dialTo(t, h.addr)
		c.send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nx")
		stalled = append(stalled, c)
		testkit.Until(t, "one more is waited for", func() bool { return h.stalled() == i+1 })
	}
	testkit.Until(t, "there is a place", func() bool {
		resp, _ := dialTo(t, h.addr).get("/app")
		return resp.StatusCode == 200
	})
	if resp, _ := stalled[0].answer("POST"); resp.StatusCode != 408 {
		t.Error("the oldest:", resp.Status)
	}
	if n := counter(t, h.metrics.evicted.WithLabelValues("body")); n == 0 {
		t.Error("nothing is counted")
	}
}

// TestIdleConnectionsGiveWay: where all descriptors are taken, those give way that are between two
// requests.
func TestIdleConnectionsGiveWay(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.Descriptors = 12 })
	var idle []*testClient
	for range 12 {
		c := dialTo(t, h.addr)
		c.send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, err := http.ReadResponse(c.br, nil); err == nil && resp.StatusCode == 200 {
			io.Copy(io.Discard, resp.Body)
			idle = append(idle, c)
			// The client may have its answer before the router notes the time from which the
			// connection is idle, and that time says which one is the oldest.
			testkit.Until(t, "the connection is idle", func() bool { return h.between(c.LocalAddr().String()) })
		}
	}
	testkit.Until(t, "a newcomer has the place of an idle connection", func() bool {
		c := dialTo(t, h.addr) // stays open, so that there are too many in the end
		io.WriteString(c, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(c.br, nil)
		served := err == nil && resp.StatusCode == 200
		return served && counter(t, h.metrics.evicted.WithLabelValues("idle")) > 0
	})
	idle[0].ended()
}

// uploads runs an upload of the body that send writes, in a bubble of time, and returns how it
// ended.
func uploads(t *testing.T, cfg Config, answering bool, send func(client net.Conn), read func(worker net.Conn)) (took time.Duration, got error) {
	synctest.Test(t, func(t *testing.T) {
		cfg.Directory = directory.NewStatic()
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		out, in := net.Pipe()
		c := &conn{r: r}
		c.Init(ours, writeTimeout)
		u := &workerConn{}
		u.Init(out, writeTimeout)
		body := &message{rest: 1 << 40}
		var ends sync.WaitGroup
		defer ends.Wait()
		ends.Go(func() {
			send(theirs)
			theirs.Close()
		})
		ends.Go(func() {
			read(in)
			in.Close()
		})
		start := time.Now()
		p := startUpload(c, body, u)
		p.answering.Store(answering)
		<-p.done
		got, took = p.err, time.Since(start)
		c.Drop()
		ours.Close()
		out.Close()
	})
	return took, got
}

// TestSlowBodies: a body has as much time as its bytes earn, for whatever the client lets the
// router wait.
func TestSlowBodies(t *testing.T) {
	every := func(pause time.Duration, bytes, times int) func(net.Conn) {
		return func(c net.Conn) {
			for range times {
				if _, err := c.Write(make([]byte, bytes)); err != nil {
					return
				}
				time.Sleep(pause)
			}
		}
	}
	all := func(c net.Conn) { io.Copy(io.Discard, c) }
	slowly := func(c net.Conn) {
		for b := make([]byte, 1000); ; time.Sleep(20 * time.Second) {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
		}
	}
	for _, test := range []struct {
		name      string
		cfg       Config
		answering bool
		send      func(net.Conn)
		read      func(net.Conn)
		slow      bool
		took      time.Duration // that it may take; 0: as long as it likes
	}{
		{"a byte every 59 s", Config{}, false, every(59*time.Second, 1, 1000), all, true, 61 * time.Second},
		{"nothing", Config{}, false, func(net.Conn) { time.Sleep(time.Hour) }, all, true, 60 * time.Second},
		{"just too slow", Config{MinBodyRate: 1000}, false, every(time.Second, 900, 3600), all, true, 11 * time.Minute},
		{"an hour at a sane rate", Config{}, false, every(time.Second, 600, 3600), all, false, 0},
		{"a pause that was earned", Config{}, false, every(50*time.Second, 30_000, 100), all, false, 0},
		{"a worker that reads slowly", Config{}, false, every(0, 1000, 100), slowly, false, 0},
		{"a worker that answers meanwhile", Config{}, true, every(59*time.Second, 1, 100), all, false, 0},
		{"silence while it answers", Config{}, true, every(time.Hour, 1, 2), all, true, 60 * time.Second},
		{"no rate", Config{MinBodyRate: -1}, false, every(59*time.Second, 1, 100), all, false, 0},
		{"other settings", Config{BodyTimeout: 5 * time.Second, MinBodyRate: 1}, false, every(2*time.Second, 1, 100), all, true, 12 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			took, err := uploads(t, test.cfg, test.answering, test.send, test.read)
			want := errLeft // all was taken that the client sent
			if test.slow {
				want = errSlow
			}
			if err != want {
				t.Errorf("ended with %v after %v", err, took)
			}
			if test.took > 0 && took > test.took { // of the bubble's clock
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestSlowBodyIsAnswered: the client of a body that takes too long is told, and its worker is let
// go.
func TestSlowBodyIsAnswered(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.BodyTimeout, cfg.MinBodyRate = 300*time.Millisecond, 1<<20 })
	c := dialTo(t, h.addr)
	c.send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
	ctx, stop := context.WithCancel(t.Context())
	var sender sync.WaitGroup
	sender.Go(func() {
		for ctx.Err() == nil { // never silent for long
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	resp, _ := c.answer("POST")
	stop()
	sender.Wait()
	if resp.StatusCode != 408 || !resp.Close {
		t.Errorf("%s, close %v", resp.Status, resp.Close)
	}
	testkit.Until(t, "the worker is let go", func() bool { return h.budget.using.Load() == 0 })
}

// The lists of newcomers keep their order, whoever leaves.
func TestNewcomersList(t *testing.T) {
	var l newcomers
	var conns [5]conn
	show := func() string {
		var b strings.Builder
		for c := l.first; c != nil; c = c.member.after {
			for i := range conns {
				if c == &conns[i] {
					fmt.Fprint(&b, i)
				}
			}
		}
		return fmt.Sprint(b.String(), " ", l.n)
	}
	for i := range conns {
		l.push(&conns[i])
	}
	for _, step := range []struct {
		leaves int
		want   string
	}{{2, "0134 4"}, {0, "134 3"}, {4, "13 2"}, {3, "1 1"}, {1, " 0"}} {
		l.remove(&conns[step.leaves])
		if got := show(); got != step.want {
			t.Errorf("without %d: %q, want %q", step.leaves, got, step.want)
		}
	}
	l.push(&conns[3])
	if got := show(); got != "3 1" {
		t.Error(got)
	}
}

// TestDescriptorsComeBack: connections that were handed to a worker or relayed, refused upgrades
// and clients that break off leave as many descriptors open as before them.
func TestDescriptorsComeBack(t *testing.T) {
	const rounds = 50
	d := directory.NewStatic()
	hosts := cluster(t, d, nil, 1, 1)
	secure, _ := one(t, 1, secured(t))
	near, far, over := hosts[0].workers["wka0"], hosts[1].workers["wkb0"], secure.workers["wka0"]
	refuses := func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(400) }
	round := func() {
		for _, way := range []struct {
			w    *testWorker
			dial func() *testClient
		}{
			{near, func() *testClient { return dialTo(t, hosts[0].addr) }},      // handed over
			{far, func() *testClient { return dialTo(t, hosts[0].addr) }},       // relayed to its host
			{over, func() *testClient { return secureTo(t, secure.addr, "x") }}, // relayed from TLS
		} {
			c := way.dial()
			c.upgraded(way.w)
			c.echoes("hello")
			c.Close()
			way.w.becomes(refuses)
			c = way.dial()
			if resp := c.upgrade("&sid=" + way.w.open()); resp.StatusCode != 400 {
				t.Error(resp.Status)
			}
			c.Close()
			way.w.becomes(nil)
			c = way.dial() // leaves in the middle
			c.send("GET /socket.io/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\n%s", way.w.open(), upgradeFields)
			c.Close()
		}
	}
	settled := func(want int) (n int) {
		testkit.Until(t, "connections have ended", func() bool {
			for _, h := range []*host{hosts[0], hosts[1], secure} {
				h.Router.workers.tidy(time.Now(), true)
				if h.Connections() > 0 {
					return false
				}
			}
			n = fds(t)
			return want == 0 || n <= want
		})
		return n
	}
	round() // opens what stays open: the ways to the workers
	before := settled(0)
	for range rounds {
		round()
	}
	settled(before)
}
