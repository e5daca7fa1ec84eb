package router

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestUpgradeIsPassed(t *testing.T) {
	h, _ := one(t, 2, nil)
	for name, prelude := range map[string]func(c *testClient) string{
		"first request, no sid": func(c *testClient) string { return "" },
		"after a handshake":     func(c *testClient) string { return "&sid=" + c.handshake() },
		"after parked polls": func(c *testClient) string {
			sid := c.handshake()
			w := h.workers[sid[:4]]
			for range 3 {
				c.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", sid)
				receive(t, w.polling)
				w.mu.Lock()
				w.sessions[sid] <- "6"
				w.mu.Unlock()
				c.answer("GET")
			}
			return "&sid=" + sid
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialTo(t, h.addr)
			resp := c.upgrade(prelude(c))
			if resp.StatusCode != 101 || resp.Header.Get("X-Kind") != "client" {
				t.Fatal(resp.Status, resp.Header)
			}
			if got, want := resp.Header.Get("X-From"), c.LocalAddr().String(); got != want {
				t.Errorf("the worker sees %s, want %s", got, want)
			}
			testkit.Until(t, "the router holds nothing", func() bool { return h.Connections() == 0 })
			c.echoes("hello")
			c.CloseWrite()
			c.ended()
		})
	}
}

func TestPassedWithWhatFollowsTheHead(t *testing.T) {
	h, _ := one(t, 1, nil)
	c := dialTo(t, h.addr)
	c.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /socket.io/?transport=websocket HTTP/1.1\r\n%s\r\nearly bytes", upgradeFields)
	c.answer("GET")
	if resp, _ := c.answer("GET"); resp.StatusCode != 101 {
		t.Fatal(resp.Status)
	}
	c.echoes(", late bytes"[:0])
	b := make([]byte, len("early bytes"))
	if _, err := io.ReadFull(c.br, b); err != nil || string(b) != "early bytes" {
		t.Fatalf("%q, %v", b, err)
	}
	c.echoes("late bytes")
}

// The connection must not go on to serve requests that a router never saw.
func TestRefusedUpgradeEndsThePassedConnection(t *testing.T) {
	h, _ := one(t, 1, nil)
	c := dialTo(t, h.addr)
	if resp := c.upgrade("&sid=unknown"); resp.StatusCode != 400 {
		t.Fatal(resp.Status)
	}
	c.ended()
}

func TestAppsOwnWebSocketIsPassed(t *testing.T) {
	h, _ := one(t, 1, nil)
	h.workers["wka0"].answers(h.workers["wka0"].echo)
	c := dialTo(t, h.addr)
	c.send("GET /live HTTP/1.1\r\n%s\r\n", upgradeFields)
	if resp, _ := c.answer("GET"); resp.StatusCode != 101 || resp.Header.Get("X-Kind") != "client" {
		t.Fatal(resp.Status)
	}
	c.echoes("x")
}

func TestManyPassedLeaveNothing(t *testing.T) {
	h, _ := one(t, 1, nil)
	dialTo(t, h.addr).get("/") // links and pools are made
	testkit.Until(t, "nothing is held", func() bool { return h.Connections() <= 1 })
	before := fds(t)
	const n = 200
	var clients []*testClient
	for range n {
		c := dialTo(t, h.addr)
		if resp := c.upgrade(""); resp.StatusCode != 101 {
			t.Fatal(resp.Status)
		}
		clients = append(clients, c)
	}
	testkit.Until(t, "nothing is held", func() bool { return h.Connections() <= 1 })
	if got := fds(t); got > before+2*n { // the client's and the worker's ends, all in this process
		t.Errorf("%d descriptors more for %d sockets", got-before, n)
	}
	h.stop() // and the router's end drops nobody
	for range h.done {
	}
	for _, c := range clients {
		c.echoes("still here")
	}
}

// A worker that does not take descriptors gets its WebSockets relayed.
func TestUpgradeIsRelayedWhereItCannotBePassed(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) { cfg.MaxHeadBytes = 64_000 })
	c := dialTo(t, h.addr)
	big := strings.Repeat("x", 63_800) // with what the router adds, and the bytes after it, beyond a datagram
	c.send("GET /socket.io/?transport=websocket HTTP/1.1\r\n%sA: %s\r\n\r\n%s", upgradeFields, big[:63_600], big[:2500])
	resp, _ := c.answer("GET")
	if resp.StatusCode != 101 || resp.Header.Get("X-Kind") == "" {
		t.Fatal(resp.Status)
	}
	if kind := resp.Header.Get("X-Kind"); kind != "local" && kind != "client" {
		t.Errorf("kind %s", kind)
	}
	io.ReadFull(c.br, make([]byte, 2500))
	c.echoes("hello")
}

func TestFullHandoffSocketMeansRelay(t *testing.T) {
	d := directory.NewStatic()
	dir := t.TempDir()
	ln := loopback(t)
	d.Set(directory.Worker{ID: "wka0", Host: "a", Addr: ln.Addr().String(), Tags: true})
	l, err := handoff.Listen(filepath.Join(dir, "wka0.sock"), "wka0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := startRouter(t, ln, Config{Directory: d, RuntimeDir: dir, HostName: "a", AdvertiseAddr: ln.Addr().String()})
	before := fds(t)
	var clients []*testClient
	full := r.metrics.upstream.WithLabelValues("full")
	for i := 0; counter(t, full) == 0; i++ { // nobody accepts
		if i == 5000 {
			t.Fatal("never full")
		}
		c := dialTo(t, r.addr)
		c.send("GET /socket.io/?transport=websocket HTTP/1.1\r\n%sA: %s\r\n\r\n", upgradeFields, strings.Repeat("a", 15_000))
		clients = append(clients, c)
		testkit.Until(t, "passed or waiting", func() bool {
			return counter(t, r.metrics.transferred.WithLabelValues("passed")) == float64(i+1) || counter(t, full) > 0
		})
	}
	last := clients[len(clients)-1]
	go func() { // the worker wakes up
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if c.(*handoff.Conn).Kind() == handoff.Local {
					http.ReadRequest(bufio.NewReader(c))
					io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Kind: local\r\n\r\n")
				}
			}()
		}
	}()
	if resp, _ := last.answer("GET"); resp.StatusCode != 101 || resp.Header.Get("X-Kind") != "local" {
		t.Fatal(resp.Status)
	}
	for _, c := range clients {
		c.Close()
	}
	testkit.Until(t, "all descriptors are closed", func() bool { return fds(t) <= before+8 })
}

func TestForgedFieldsAreWorthNothing(t *testing.T) {
	forged := "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 6.6.6.6\r\n" +
		"Forwarded: for=6.6.6.6\r\nSidereal-Client: 6.6.6.6:6\r\nSidereal-Proto: https\r\nSidereal-Worker: evil\r\nSidereal-Router: evil\r\nSidereal-Anything: x\r\nSIDEREAL-CLIENT: 6.6.6.6:7\r\n"
	h, _ := one(t, 1, nil)
	w := h.workers["wka0"]
	check := func(t *testing.T, c *testClient, passed bool) {
		r := w.last()
		want := http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"x"}}
		if !passed {
			want["Sidereal-Client"], want["Sidereal-Proto"] = []string{c.LocalAddr().String()}, []string{"http"}
			want["Sidereal-Router"] = []string{h.id}
		}
		for name, v := range r.Header {
			if l := strings.ToLower(name); strings.HasPrefix(l, "x-") || strings.HasPrefix(l, "sidereal") || l == "forwarded" {
				if fmt.Sprint(v) != fmt.Sprint(want[name]) {
					t.Errorf("%s: %q, want %q", name, v, want[name])
				}
				delete(want, name)
			}
		}
		if len(want) > 0 {
			t.Errorf("missing: %v", want)
		}
	}
	for _, target := range []string{"/", "/socket.io/?transport=polling", "/socket.io/?transport=polling&sid=x"} {
		c := dialTo(t, h.addr)
		c.send("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, forged)
		c.answer("GET")
		check(t, c, false)
	}
	c := dialTo(t, h.addr)
	c.send("GET /socket.io/?transport=websocket HTTP/1.1\r\n%s%s\r\n", upgradeFields, forged)
	if resp, _ := c.answer("GET"); resp.Header.Get("X-From") != c.LocalAddr().String() {
		t.Error(resp.Header)
	}
	check(t, c, true)
}

// What a trusted proxy says stays as it is.
func TestTrustedProxiesAreBelieved(t *testing.T) {
	h, _ := one(t, 1, func(cfg *Config) {
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	})
	for _, c := range []struct{ in, client, xff string }{
		{"", "self", "127.0.0.1"},
		{"X-Forwarded-For: 1.2.3.4\r\n", "1.2.3.4:0", "1.2.3.4"},
		{"X-Forwarded-For: 6.6.6.6, 1.2.3.4\r\n", "1.2.3.4:0", "6.6.6.6, 1.2.3.4"},
		{"X-Forwarded-For: 6.6.6.6, 1.2.3.4, 10.1.1.1\r\n", "1.2.3.4:0", "6.6.6.6, 1.2.3.4, 10.1.1.1"},
		{"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 10.1.1.1\r\n", "1.2.3.4:0", "1.2.3.4, 10.1.1.1"},
		{"X-Forwarded-For: 10.1.1.2, 10.1.1.1\r\n", "10.1.1.2:0", "10.1.1.2, 10.1.1.1"},
		{"X-Forwarded-For: 1.2.3.4:567\r\n", "1.2.3.4:567", "1.2.3.4:567"},
		{"X-Forwarded-For: [2001:db8::1]:9\r\n", "[2001:db8::1]:9", "[2001:db8::1]:9"},
		{"X-Forwarded-For: 2001:db8::1\r\n", "[2001:db8::1]:0", "2001:db8::1"},
		{"X-Forwarded-For: 1.2.3.4, garbage, 10.1.1.1\r\n", "10.1.1.1:0", "1.2.3.4, garbage, 10.1.1.1"},
	} {
		cl := dialTo(t, h.addr)
		cl.send("GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n%s\r\n", c.in)
		cl.answer("GET")
		r := h.workers["wka0"].last()
		if c.client == "self" {
			c.client = cl.LocalAddr().String()
		}
		if got := r.Header.Get("Sidereal-Client"); got != c.client {
			t.Errorf("%q: client %s, want %s", c.in, got, c.client)
		}
		if got := r.Header.Get("X-Forwarded-For"); got != c.xff || len(r.Header["X-Forwarded-For"]) != 1 {
			t.Errorf("%q: %q, want %q", c.in, r.Header["X-Forwarded-For"], c.xff)
		}
		if r.Header.Get("Sidereal-Proto") != "https" || r.Header.Get("X-Forwarded-Proto") != "https" {
			t.Errorf("%q: proto %q", c.in, r.Header.Get("Sidereal-Proto"))
		}
	}
	c := dialTo(t, h.addr)
	c.send("GET /socket.io/?transport=websocket HTTP/1.1\r\n%sX-Forwarded-For: 1.2.3.4\r\n\r\n", upgradeFields)
	if resp, _ := c.answer("GET"); resp.Header.Get("X-From") != "1.2.3.4:0" {
		t.Error(resp.Header.Get("X-From"))
	}
}

// Two hosts: every request may enter anywhere.
func TestAnyEntry(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, nil, 2, 2)
	entries := []*testClient{dialTo(t, hosts[0].addr), dialTo(t, hosts[1].addr)}
	var sids []string
	for i := range 16 {
		sids = append(sids, entries[i%2].handshake())
	}
	for round := range 4 {
		for i, sid := range sids {
			in, out := entries[(i+round)%2], entries[(i+round+1)%2]
			in.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", sid)
			if _, body := in.answer("POST"); body != "ok" {
				t.Fatal(body)
			}
			if _, body := out.get("/socket.io/?transport=polling&sid=" + sid); body != sid[:4]+" got 2" {
				t.Fatal(body)
			}
		}
	}
	for _, h := range hosts {
		for id, w := range h.workers {
			if n := w.count("peer"); n == 0 || n > 6 {
				t.Errorf("%s has %d connections of the other host's router; they are to be kept and used again", id, n)
			}
			w.mu.Lock()
			for _, r := range w.requests {
				kind := r.Context().Value(connKey{}).(*handoff.Conn).Kind()
				if r.Header.Get("Sidereal-Key") != "" {
					t.Errorf("%s was shown the key", id)
				}
				if peer := kind == handoff.Peer; peer != (r.Header.Get("Sidereal-Worker") == id) {
					t.Errorf("%s: kind %v, named %q", id, kind, r.Header.Get("Sidereal-Worker"))
				}
				if got := r.Header.Get("Sidereal-Client"); got != entries[0].LocalAddr().String() && got != entries[1].LocalAddr().String() {
					t.Errorf("%s: client %s", id, got)
				}
			}
			w.mu.Unlock()
		}
		if n := h.Connections(); n != 1 {
			t.Errorf("the door holds %d connections", n)
		}
	}
}

func TestUpgradeAtAnotherHostIsRelayed(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, nil, 1, 1)
	sid := hosts[1].workers["wkb0"].open()
	c := dialTo(t, hosts[0].addr)
	c.get("/")
	resp := c.upgrade("&sid=" + sid)
	if resp.StatusCode != 101 || resp.Header.Get("X-Worker") != "wkb0" || resp.Header.Get("X-Kind") != "peer" {
		t.Fatal(resp.Status, resp.Header)
	}
	testkit.Until(t, "the door does not hold the connection", func() bool { return hosts[1].Connections() == 0 })
	c.echoes("hello")
	big := strings.Repeat("0123456789", 300_000) // more than all buffers on the way
	go c.send("%s", big)
	got := make([]byte, len(big))
	if _, err := io.ReadFull(c.br, got); err != nil || string(got) != big {
		t.Fatal("3 MB came back otherwise", err)
	}
	c.CloseWrite()
	c.ended()
	testkit.Until(t, "the relay ends", func() bool { return hosts[0].Connections() == 0 })
	c = dialTo(t, hosts[0].addr) // refused over a relay: the connection goes on
	d.Learn(context.Background(), "unknown-here", "wkb0", 0)
	if resp := c.upgrade("&sid=unknown-here"); resp.StatusCode != 400 {
		t.Fatal(resp.Status)
	}
	if resp, _ := c.get("/"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}

func TestRelayEndsWithEitherSide(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, nil, 1, 1)
	w := hosts[1].workers["wkb0"]
	for name, end := range map[string]func(c *testClient){
		"client closes": func(c *testClient) { c.Close() },
		"client resets": func(c *testClient) { c.SetLinger(0); c.Close() },
		"client half-closes": func(c *testClient) {
			c.CloseWrite()
			c.ended()
		},
	} {
		c := dialTo(t, hosts[0].addr)
		c.upgrade("&sid=" + w.open())
		c.echoes("x")
		end(c)
		testkit.Until(t, name, func() bool { return hosts[0].Connections() == 0 })
	}
	var wg sync.WaitGroup
	hold := make(chan net.Conn, 1)
	w.becomes(func(rw http.ResponseWriter, r *http.Request) {
		c, _, _ := rw.(http.Hijacker).Hijack()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbye")
		hold <- c
	})
	c := dialTo(t, hosts[0].addr)
	c.upgrade("&sid=" + w.open())
	(<-hold).Close()
	if b, err := io.ReadAll(c.br); string(b) != "bye" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	c.Close()
	testkit.Until(t, "worker closes", func() bool { return hosts[0].Connections() == 0 })
	wg.Wait()
}

func TestDoorRefuses(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, nil, 1)
	h := hosts[0]
	key, _ := d.Secret(t.Context())
	for name, c := range map[string]struct {
		fields string
		status int
	}{
		"a wrong key":        {"Sidereal-Worker: wka0\r\nSidereal-Key: wrong\r\n", 403},
		"an empty key":       {"Sidereal-Worker: wka0\r\nSidereal-Key:\r\n", 403},
		"a prefix":           {"Sidereal-Worker: wka0\r\nSidereal-Key: " + key[:20] + "\r\n", 403},
		"an unknown worker":  {"Sidereal-Worker: wkb0\r\nSidereal-Key: " + key + "\r\n", 421},
		"a path":             {"Sidereal-Worker: ../wka0\r\nSidereal-Key: " + key + "\r\n", 421},
		"no worker":          {"Sidereal-Key: " + key + "\r\n", 421},
		"the right key":      {"Sidereal-Worker: wka0\r\nSidereal-Key: " + key + "\r\n", 200},
		"a name without key": {"Sidereal-Worker: wkb0\r\n", 200},
	} {
		cl := dialTo(t, h.addr)
		cl.send("GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", c.fields)
		resp, body := cl.answer("GET")
		if resp.StatusCode != c.status {
			t.Errorf("%s: %s %q", name, resp.Status, body)
		}
	}
	c := dialTo(t, h.addr)
	c.get("/")
	c.send("GET / HTTP/1.1\r\nHost: x\r\nSidereal-Worker: wka0\r\nSidereal-Key: %s\r\n\r\n", key)
	if resp, _ := c.answer("GET"); resp.StatusCode != 400 {
		t.Error("a later request became a router's:", resp.Status)
	}
}

// The bytes that came with the first request go with it, bodies included.
func TestDoorPassesWhatIsThere(t *testing.T) {
	h, d := one(t, 1, nil)
	key, _ := d.Secret(t.Context())
	c := dialTo(t, h.addr)
	c.send("POST /1 HTTP/1.1\r\nHost: x\r\nSidereal-Client: 1.2.3.4:5\r\nSidereal-Worker: wka0\r\nSidereal-Key: %s\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3", key)
	if _, body := c.answer("POST"); body != "wka0 POST /1 3" {
		t.Error(body)
	}
	if r := h.workers["wka0"].last(); r.Header.Get("Sidereal-Client") != "1.2.3.4:5" && r.RequestURI == "/1" {
		t.Error(r.Header)
	}
	if _, body := c.answer("GET"); body != "wka0 GET /2 0" {
		t.Error(body)
	}
	c.send(" HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, body := c.answer("GET"); body != "wka0 GET /3 0" {
		t.Error(body)
	}
	testkit.Until(t, "the door does not hold it", func() bool { return h.Connections() == 0 })
}

// A door that cannot pass the connection serves it, for the named worker alone.
func TestDoorProxiesWhereItCannotPass(t *testing.T) {
	h, d := one(t, 2, func(cfg *Config) { cfg.MaxHeadBytes = 64_000 })
	key, _ := d.Secret(t.Context())
	c := dialTo(t, h.addr)
	c.send("POST /1 HTTP/1.1\r\nHost: x\r\nSidereal-Client: 1.2.3.4:5\r\nX-Forwarded-For: 1.2.3.4\r\nSidereal-Worker: wka1\r\nSidereal-Key: %s\r\nA: %s\r\nContent-Length: 4000\r\n\r\n%s",
		key, strings.Repeat("a", 63_000), strings.Repeat("b", 4000))
	if resp, body := c.answer("POST"); body != "wka1 POST /1 4000" {
		t.Fatal(resp.Status, body)
	}
	for range 4 {
		if _, body := c.get("/2"); body != "wka1 GET /2 0" {
			t.Error(body)
		}
	}
	c.send("GET /3 HTTP/1.1\r\nHost: x\r\nSidereal-Client: 1.2.3.4:5\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n")
	c.answer("GET")
	if r := h.workers["wka1"].last(); r.Header.Get("Sidereal-Client") != "1.2.3.4:5" || r.Header.Get("X-Forwarded-For") != "1.2.3.4" {
		t.Error(r.Header)
	}
	if resp := c.upgrade(""); resp.StatusCode != 101 || resp.Header.Get("X-Worker") != "wka1" {
		t.Error(resp.Status, resp.Header)
	}
	c.echoes("x")
}

// Two routers with different secrets are not of one app; neither may call the other's workers gone.
func TestOtherKeyIsNotADeadWorker(t *testing.T) {
	theirs := directory.NewStatic()
	b := cluster(t, theirs, nil, 1)[0]
	ours := directory.NewStatic()
	a := cluster(t, ours, nil, 0)[0]
	ours.Set(directory.Worker{ID: "wka0", Host: "elsewhere", Addr: b.addr, Tags: true})
	c := dialTo(t, a.addr)
	if resp, _ := c.get("/"); resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
	if ours.Workers().Get("wka0") == nil {
		t.Error("called gone")
	}
}

func TestRelayedConnectionsAreTrackedForTheDrain(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, func(cfg *Config) { cfg.ShutdownTimeout = 300 * time.Millisecond; cfg.DrainRate = 1 }, 0, 1)
	w := hosts[1].workers["wkb0"]
	var clients []*testClient
	for range 20 {
		c := dialTo(t, hosts[0].addr)
		if resp := c.upgrade("&sid=" + w.open()); resp.StatusCode != 101 {
			t.Fatal(resp.Status)
		}
		clients = append(clients, c)
	}
	hosts[0].stop()
	for _, c := range clients {
		c.ended()
	}
	for err := range hosts[0].done {
		if err != nil {
			t.Error(err)
		}
	}
}

// A worker that is stopped takes nothing from its socket: new sessions go to others long before it
// is known as lost.
func TestNewWebSocketsAvoidAStoppedWorker(t *testing.T) {
	h, d := one(t, 1, nil)
	l, err := handoff.Listen(filepath.Join(h.dir, "stop.sock"), "stop") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	stopped := directory.Worker{ID: "stop", Host: "a", Addr: h.addr, Tags: true}
	d.Set(stopped, *d.Workers().All()[0])
	for range 3 { // these are its own
		dialTo(t, h.addr).send("GET /socket.io/?transport=websocket&sid=%s HTTP/1.1\r\n%s\r\n", directory.MintSID("stop"), upgradeFields)
	}
	s, err := h.Router.workers.of(&stopped).link(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "it is behind", func() bool { return s.Behind(time.Now()) > silence })
	for range 50 {
		if resp := dialTo(t, h.addr).upgrade(""); resp.StatusCode != 101 || resp.Header.Get("X-Worker") != "wka0" {
			t.Fatal(resp.Status, resp.Header)
		}
	}
	d.Set(stopped) // with nobody else, it may still come back
	dialTo(t, h.addr).send("GET /socket.io/?transport=websocket HTTP/1.1\r\n%s\r\n", upgradeFields)
	testkit.Until(t, "it is passed", func() bool { return h.Connections() == 0 })
}

// A worker of another host that has no address yet gets no request, though it is ready: its host's
// door opens later.
func TestWorkerWithoutAnAddressIsNotChosen(t *testing.T) {
	d := directory.NewStatic()
	hosts := cluster(t, d, nil, 0, 1)
	there := *d.Workers().Get("wkb0")
	early := directory.Worker{ID: "early", Host: "c", Handoff: "early.sock"}
	d.Set(early)
	testkit.Until(t, "the router to listen", hosts[0].listening.Load)
	if ok, why := hosts[0].Ready(); ok || why != "no worker is ready" {
		t.Errorf("ready: %v, %q", ok, why)
	}
	d.Set(early, there)
	c := dialTo(t, hosts[0].addr)
	for range 20 {
		c.handshake()
		if resp, body := c.get("/"); resp.StatusCode != 200 {
			t.Errorf("%s %q", resp.Status, body)
		}
	}
	if _, met := hosts[0].Router.workers.byID.Load("early"); met {
		t.Error("a worker that cannot be reached was chosen")
	}
}
