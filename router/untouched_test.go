package router

import (
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// untouched is a host whose worker reads its clients' connections itself, as Node's do, and whose
// router knows.
func untouched(t *testing.T, change func(*Config)) (*testRouter, *testWorker) {
	t.Helper()
	dir, id := t.TempDir(), "node"
	l, err := handoff.ListenUntouched(filepath.Join(dir, id+".sock"), id)
	if err != nil {
		t.Fatal(err)
	}
	w := serveWorker(t, l, id)
	cfg := Config{Directory: directory.NewStatic(directory.Worker{ID: id, Host: "a"}), RuntimeDir: dir, HostName: "a"}
	if change != nil {
		change(&cfg)
	}
	r := startRouter(t, loopback(t), cfg)
	dialTo(t, r.addr).get("/")
	return r, w
}

// active counts the connections that are in the middle of a request.
func (r *testRouter) active() (n int) {
	r.conns.mu.Lock()
	defer r.conns.mu.Unlock()
	for c := range r.conns.proxied {
		if c.activity.now() == connActive {
			n++
		}
	}
	return n
}

const plainUpgrade = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n" + upgradeFields

func TestUpgradeIsPassedUntouched(t *testing.T) {
	r, w := untouched(t, nil)
	c := dialTo(t, r.addr)
	c.send(plainUpgrade + "X-Own: 1\r\n\r\nearly bytes")
	resp, _ := c.answer("GET")
	if resp.StatusCode != 101 || resp.Header.Get("X-Kind") != "client" {
		t.Fatal(resp.Status, resp.Header)
	}
	if got, want := resp.Header.Get("X-From"), c.LocalAddr().String(); got != want {
		t.Errorf("the worker sees %s, want %s", got, want)
	}
	h := w.last().Header
	if h.Get("Connection") != "Upgrade" || h.Get("X-Own") != "1" || h.Get("X-Forwarded-For") != "" || h.Get("Sidereal-Client") != "" {
		t.Errorf("the request was changed: %v", h)
	}
	b := make([]byte, len("early bytes"))
	if _, err := io.ReadFull(c.br, b); err != nil || string(b) != "early bytes" {
		t.Fatalf("%q, %v", b, err)
	}
	c.echoes("late bytes")
	testkit.Until(t, "the router holds nothing", func() bool { return r.Connections() <= 1 })
}

// Everything else is the router's to read, and to rewrite.
func TestWhatIsNotPassedUntouched(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Config)
		send   func(r *testRouter, c *testClient)
		status int
	}{
		"a forged address": {nil, func(_ *testRouter, c *testClient) { c.send(plainUpgrade + "X-Forwarded-For: 203.0.113.9\r\n\r\n") }, 101},
		"a forged field":   {nil, func(_ *testRouter, c *testClient) { c.send(plainUpgrade + "Sidereal-Client: 203.0.113.9:1\r\n\r\n") }, 101},
		"a proxy's client": {func(cfg *Config) { cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} },
			func(_ *testRouter, c *testClient) { c.send(plainUpgrade + "\r\n") }, 101},
		"a later request": {nil, func(_ *testRouter, c *testClient) { c.get("/"); c.send(plainUpgrade + "\r\n") }, 101},
		"a head in pieces": {nil, func(r *testRouter, c *testClient) {
			c.send("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nX-")
			testkit.Until(t, "the first piece was seen", func() bool { return r.active() == 1 })
			c.send("Own: 1\r\n%s\r\n", upgradeFields)
		}, 101},
		"an empty line before": {nil, func(_ *testRouter, c *testClient) { c.send("\r\n" + plainUpgrade + "\r\n") }, 101},
		"a poll": {nil, func(_ *testRouter, c *testClient) {
			c.send("GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n")
		}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := untouched(t, tc.change)
			c := dialTo(t, r.addr)
			testkit.Until(t, "both connections wait", func() bool { return r.Connections() == 2 && r.active() == 0 })
			tc.send(r, c)
			resp, _ := c.answer("GET")
			if resp.StatusCode != tc.status || w.count("client") != 0 {
				t.Fatal(resp.Status, resp.Header)
			}
			h := w.last().Header
			if h.Get("X-Forwarded-For") != "127.0.0.1" || !strings.HasPrefix(h.Get("Sidereal-Client"), "127.0.0.1") {
				t.Errorf("the worker reads %v", h)
			}
			if tc.status == http.StatusSwitchingProtocols {
				c.echoes("hello")
			}
		})
	}
}

// The router has to read the bytes that it only looked at before it answers, or closing would reset
// the connection.
func TestRefusedAfterALook(t *testing.T) {
	for name, tc := range map[string]struct {
		request string
		status  int
	}{
		"bad target":   {"GET other HTTP/1.1\r\n" + upgradeFields + "\r\n", 400},
		"bad head":     {"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400},
		"large head":   {plainUpgrade + "X: " + strings.Repeat("x", 1000) + "\r\n\r\n", 431},
		"wrong method": {"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := untouched(t, func(cfg *Config) { cfg.MaxHeadBytes = 512 })
			c := dialTo(t, r.addr)
			c.send("%s", tc.request)
			if resp, _ := c.answer("GET"); resp.StatusCode != tc.status {
				t.Fatal(resp.Status)
			}
			c.ended()
		})
	}
}

// The router doesn't read from the first client before it knows that it has to look first.
func TestFirstUpgradeToAnUntouchedWorker(t *testing.T) {
	dir := t.TempDir()
	l, err := handoff.ListenUntouched(filepath.Join(dir, "node.sock"), "node")
	if err != nil {
		t.Fatal(err)
	}
	serveWorker(t, l, "node")
	r := startRouter(t, loopback(t), Config{Directory: directory.NewStatic(directory.Worker{ID: "node", Host: "a"}), RuntimeDir: dir, HostName: "a"})
	testkit.Until(t, "the router has met the worker", r.workers.untouched.Load)
	c := dialTo(t, r.addr)
	if resp := c.upgrade(""); resp.StatusCode != 101 || resp.Header.Get("X-Kind") != "client" {
		t.Fatal(resp.Status, resp.Header)
	}
	c.echoes("hello")
}

// A Go worker beside it gets its connections with what was read, though the router looks first.
func TestLookedAtAndPassedRead(t *testing.T) {
	r, _ := untouched(t, nil)
	startWorker(t, r.cfg.RuntimeDir, "gogo")
	r.cfg.Directory.(*directory.Static).Set(directory.Worker{ID: "gogo", Host: "a"})
	c := dialTo(t, r.addr)
	resp := c.upgrade("")
	if resp.StatusCode != 101 || resp.Header.Get("X-Worker") != "gogo" || resp.Header.Get("X-Kind") != "client" {
		t.Fatal(resp.Status, resp.Header)
	}
	c.echoes("hello")
}

func TestDoorOfAnUntouchedWorkerPassesPeers(t *testing.T) {
	r, w := untouched(t, nil)
	d := r.cfg.Directory.(*directory.Static)
	d.Set(directory.Worker{ID: "node", Host: "a", Addr: r.addr})
	other := startRouter(t, loopback(t), Config{Directory: d, HostName: "b"})
	if resp, _ := dialTo(t, other.addr).get("/"); resp.StatusCode != 200 || w.count("peer") != 1 {
		t.Fatal(resp.Status, w.count("peer"))
	}
	if resp := dialTo(t, other.addr).upgrade(""); resp.StatusCode != 101 || resp.Header.Get("X-Kind") != "peer" {
		t.Fatal(resp.Status, resp.Header)
	}
}

// The other end of a proxied connection is not the client: nothing of it is passed as it came.
func TestProxiedUpgradeIsNotPassedUntouched(t *testing.T) {
	r, w := untouched(t, trustingLoopback)
	r.workers.untouched.Store(true)
	c := dialTo(t, r.addr)
	c.send("PROXY TCP4 192.0.2.7 198.51.100.1 4660 443\r\n")
	c.send(plainUpgrade + "\r\n")
	resp, _ := c.answer("GET")
	if resp.StatusCode != 101 || w.last().Header.Get("Sidereal-Client") != "192.0.2.7:4660" {
		t.Error(resp.Status, w.last().Header)
	}
}
