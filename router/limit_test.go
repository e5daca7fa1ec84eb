package router

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

const handshakeTarget = "/socket.io/?EIO=4&transport=polling"

// slow makes a worker that answers no handshake before release is closed. Waiting gets a value for
// each that waits.
func (w *testWorker) slow() (waiting chan string, release chan struct{}) {
	waiting, release = make(chan string, 1<<14), make(chan struct{})
	w.becomes(func(rw http.ResponseWriter, r *http.Request) {
		waiting <- w.id
		select {
		case <-release:
		case <-r.Context().Done():
			return
		}
		fmt.Fprintf(rw, `0{"sid":"%s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1}`, w.open())
	})
	return waiting, release
}

// Every one of a storm is answered: as many as the worker may have at a time by the worker, the
// rest at once by us.
func TestStormOfHandshakes(t *testing.T) {
	const handshakes, clients, most = 10_000, 400, 50
	before := fds(t)
	t.Run("storm", func(t *testing.T) {
		h, _ := one(t, 1, func(cfg *Config) { cfg.HandshakesInFlight, cfg.HandshakeRate = most, 1e6 })
		waiting, release := h.workers["wka0"].slow()
		var left, ok, away atomic.Int64
		left.Store(handshakes)
		var all sync.WaitGroup
		for range clients {
			c := dialTo(t, h.addr)
			all.Go(func() {
				for left.Add(-1) >= 0 {
					io.WriteString(c.TCPConn, "GET "+handshakeTarget+" HTTP/1.1\r\nHost: x\r\n\r\n")
					resp, err := http.ReadResponse(c.br, nil)
					if err != nil {
						t.Error(err)
						return
					}
					io.Copy(io.Discard, resp.Body)
					switch wait, _ := strconv.Atoi(resp.Header.Get("Retry-After")); {
					case resp.StatusCode == 200:
						ok.Add(1)
					case resp.StatusCode == 503 && wait >= 1 && wait <= maxRetryAfter:
						if away.Add(1) == handshakes-most {
							close(release)
						}
					default:
						t.Errorf("%s, Retry-After %d", resp.Status, wait)
					}
				}
			})
		}
		all.Wait()
		if ok.Load() != most || away.Load() != handshakes-most || len(waiting) != most {
			t.Errorf("%d let in, %d turned away, %d reached the worker", ok.Load(), away.Load(), len(waiting))
		}
		if n := counter(t, h.metrics.limited[byInFlight]); n != handshakes-most {
			t.Errorf("%v counted", n)
		}
		b := h.Router.workers.of(&directory.Worker{ID: "wka0"})
		if b.gate.inFlight.Load() != 0 || b.opened.Load() != most {
			t.Errorf("%d still in flight, %d opened", b.gate.inFlight.Load(), b.opened.Load())
		}
	})
	testkit.Until(t, "no descriptor is left", func() bool { return fds(t) <= before+2 })
}

// A place in flight comes back whatever becomes of the handshake.
func TestPlacesInFlightComeBack(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.HandshakesInFlight = 1 })
	w := h.workers["wka0"]
	idle := func() {
		t.Helper()
		b := h.Router.workers.of(&directory.Worker{ID: "wka0"})
		testkit.Until(t, "nothing is in flight", func() bool { return b.gate.inFlight.Load() == 0 })
	}
	dialTo(t, h.addr).handshake()
	idle()
	if resp := dialTo(t, h.addr).upgrade(""); resp.StatusCode != 101 {
		t.Error(resp.Status)
	}
	idle()
	waiting, release := w.slow()
	c := dialTo(t, h.addr)
	c.send("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", handshakeTarget)
	receive(t, waiting)
	if resp := dialTo(t, h.addr).upgrade(""); resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
	c.SetLinger(0)
	c.Close() // gone before the answer
	idle()
	close(release)
	w.becomes(func(rw http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	if resp, _ := dialTo(t, h.addr).get(handshakeTarget); resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
	idle()
}

func TestHandshakeRate(t *testing.T) {
	cfg := &Config{HandshakesInFlight: 1000, HandshakeRate: 100}
	var g gate
	const start = int64(1e18)
	let := func(now int64) (n int) {
		for g.enter(cfg, now) == unlimited {
			g.leave()
			n++
		}
		return n
	}
	for _, step := range []struct {
		at   time.Duration
		want int
	}{{0, 100}, {0, 0}, {5 * time.Millisecond, 0}, {10 * time.Millisecond, 1}, {510 * time.Millisecond, 50}, {time.Minute, 100}} {
		if n := let(start + int64(step.at)); n != step.want {
			t.Errorf("%v: %d let in, want %d", step.at, n, step.want)
		}
	}
	if g.inFlight.Load() != 0 {
		t.Error("what the rate refuses stays in flight")
	}
}

// Where one worker has no room, the next that has gets the handshake.
func TestFullWorkerIsPassedOver(t *testing.T) {
	h, _ := one(t, 2, func(cfg *Config) { cfg.HandshakesInFlight, cfg.StallTimeout = 1, -1 })
	w0, r0 := h.workers["wka0"].slow()
	w1, r1 := h.workers["wka1"].slow()
	a, b := dialTo(t, h.addr), dialTo(t, h.addr)
	for _, c := range []*testClient{a, b} {
		c.send("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", handshakeTarget)
	}
	receive(t, w0)
	receive(t, w1)
	c := dialTo(t, h.addr)
	for range 3 { // over one connection
		if resp, _ := c.get(handshakeTarget); resp.StatusCode != 503 || resp.Close {
			t.Errorf("%s, close %v", resp.Status, resp.Close)
		}
	}
	c.send("GET %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nGET ", handshakeTarget)
	if resp, _ := c.answer("GET"); resp.StatusCode != 503 || !resp.Close {
		t.Errorf("with a body: %s, close %v", resp.Status, resp.Close)
	}
	c.ended()
	close(r0)
	close(r1)
	for _, c := range []*testClient{a, b} {
		if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
			t.Error(resp.Status)
		}
	}
}

func TestHandshakesOfAnAddress(t *testing.T) {
	var a addresses
	enter := func(s string, second int64) bool { return a.enter(netip.MustParseAddr(s), 2, second) }
	for i, c := range []struct {
		addr   string
		second int64
		want   bool
	}{
		{"192.0.2.1", 1, true}, {"::ffff:192.0.2.1", 1, true}, {"192.0.2.1", 1, false}, {"192.0.2.2", 1, true}, {"192.0.2.1", 2, true},
		{"2001:db8::1", 2, true}, {"2001:db8::2", 2, true}, {"2001:db8::3", 2, false}, {"2001:db8:0:1::3", 2, true},
	} {
		if enter(c.addr, c.second) != c.want {
			t.Errorf("%d: %s: not %v", i, c.addr, c.want)
		}
	}
	for i := range uint32(2 * maxAddresses) {
		if !a.enter(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 1, 3) {
			t.Fatal("an address without a handshake is turned away")
		}
	}
	if len(a.counts) > maxAddresses {
		t.Errorf("%d addresses remembered", len(a.counts))
	}
}

func TestAddressLimitNeverHitsTrustedProxies(t *testing.T) {
	different := func(i int) int { return i }
	for _, c := range []struct {
		name, proxies string
		names         func(i int) int // the last byte of the address that it sends; nil: none
		limited       bool
	}{
		{"a client", "", nil, true},
		{"a client that forges an address", "", different, true},
		{"a proxy that names nobody", "127.0.0.0/8", nil, false},
		{"a proxy that names different clients", "127.0.0.0/8", different, false},
		{"a proxy that names one client", "127.0.0.0/8", func(int) int { return 7 }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := one(t, 1, func(cfg *Config) {
				cfg.HandshakesPerAddress = 2
				if c.proxies != "" {
					cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(c.proxies)}
				}
			})
			cl, away := dialTo(t, h.addr), 0
			for i := range 100 {
				fields := ""
				if c.names != nil {
					fields = fmt.Sprintf("X-Forwarded-For: 192.0.2.%d\r\n", c.names(i))
				}
				cl.send("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", handshakeTarget, fields)
				if resp, _ := cl.answer("GET"); resp.StatusCode == 503 {
					away++
				}
			}
			if c.limited != (away > 0) {
				t.Errorf("%d turned away", away)
			}
			if n := counter(t, h.metrics.limited[byAddress]); int(n) != away {
				t.Errorf("%v counted", n)
			}
		})
	}
}

// A handshake that a worker does not answer is another's; the client waits for StallTimeout and no
// longer.
func TestStalledWorkersHandshakeGoesElsewhere(t *testing.T) {
	h, _ := one(t, 2, func(cfg *Config) { cfg.StallTimeout = 500 * time.Millisecond })
	_, release := h.workers["wka0"].slow()
	defer close(release)
	c := dialTo(t, h.addr)
	for range 20 {
		if sid := c.handshake(); sid[:4] != "wka1" {
			t.Fatalf("opened at %s", sid[:4])
		}
	}
	stalls := counter(t, h.metrics.upstream.WithLabelValues("stalled"))
	if stalls < 1 || stalls > 10 {
		t.Errorf("%v handshakes waited for the worker that does not answer", stalls)
	}
}

// Where no worker answers in time the handshake waits: slow is not stalled, and it is tried twice
// at most.
func TestSlowWorkersHandshakeWaits(t *testing.T) {
	h, _ := one(t, 2, func(cfg *Config) { cfg.StallTimeout = 20 * time.Millisecond })
	w0, r0 := h.workers["wka0"].slow()
	w1, r1 := h.workers["wka1"].slow()
	c := dialTo(t, h.addr)
	c.send("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", handshakeTarget)
	receive(t, w0)
	receive(t, w1)
	close(r0)
	close(r1)
	if resp, _ := c.answer("GET"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if len(w0)+len(w1) != 0 {
		t.Error("tried a third time")
	}
}

func TestMostConnections(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.MaxConnections = 3 })
	held := []*testClient{dialTo(t, h.addr), dialTo(t, h.addr), dialTo(t, h.addr)}
	for _, c := range held {
		c.get("/app")
	}
	more := dialTo(t, h.addr)
	if resp, _ := more.answer("GET"); resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" {
		t.Error(resp.Status)
	}
	more.ended()
	if resp := held[0].upgrade(""); resp.StatusCode != 101 { // passed: not ours any more
		t.Fatal(resp.Status)
	}
	testkit.Until(t, "the passed connection counts no more", func() bool { return h.Connections() == 2 })
	if resp, _ := dialTo(t, h.addr).get("/app"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

// BenchmarkTurnedAway is a handshake that meets a limit, over a kept connection: its client and the
// kernel included.
func BenchmarkTurnedAway(b *testing.B) {
	h, _ := one(b, 1, nil)
	worker := h.Router.workers.of(h.cfg.Directory.Workers().Get("wka0"))
	worker.gate.inFlight.Store(1 << 40)
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	request, buf := []byte("GET "+handshakeTarget+" HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n"), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(request)
		if n, err := c.Read(buf); err != nil || string(buf[9:12]) != "503" {
			b.Fatalf("%q, %v", buf[:n], err)
		}
	}
}

func TestTurningAwayAllocatesNothing(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measured without the race detector")
	}
	res := testing.Benchmark(BenchmarkTurnedAway)
	if n := res.AllocsPerOp(); n > 0 {
		t.Errorf("%d allocations (%d bytes) per request", n, res.AllocedBytesPerOp())
	}
}
