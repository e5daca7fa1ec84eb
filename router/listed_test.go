package router

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// listed is a router before servers on ports, which know nothing of it.
func listed(t *testing.T, cfg directory.UpstreamConfig) (*testRouter, *directory.Upstreams) {
	t.Helper()
	cfg.Interval = 100 * time.Millisecond
	d, err := directory.NewUpstreams(cfg)
	if err != nil {
		t.Fatal(err)
	}
	testkit.Run(t, d.Run)
	return startRouter(t, loopback(t), Config{Directory: d, HostName: "a"}), d
}

func awaitReady(t *testing.T, d *directory.Upstreams, n int) {
	t.Helper()
	testkit.Await(t, fmt.Sprint(n, " ready upstreams"), d.Changed, func() bool { return len(d.Workers().Ready()) == n })
}

// startUpstreams starts servers on ports; list names them.
func startUpstreams(t *testing.T, n int) (servers []*testWorker, list string) {
	t.Helper()
	var urls []string
	for i := range n {
		ln := loopback(t)
		servers = append(servers, serveWorker(t, ln, fmt.Sprintf("up%02d", i)))
		urls = append(urls, "http://"+ln.Addr().String())
	}
	return servers, strings.Join(urls, ",")
}

// sessionAt opens sessions until one is w's.
func sessionAt(c *testClient, w *testWorker) string {
	for {
		if sid := c.handshake(); strings.HasPrefix(sid, w.id) {
			return sid
		}
	}
}

func TestListedUpstreamsAreSpokenToPlainly(t *testing.T) {
	servers, list := startUpstreams(t, 1)
	r, d := listed(t, directory.UpstreamConfig{List: list})
	awaitReady(t, d, 1)
	c := dialTo(t, r.addr)
	sid := c.handshake()
	c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: public.example\r\nX-Forwarded-For: 203.0.113.9\r\nSidereal-Key: x\r\nContent-Length: 3\r\n\r\nabc", sid)
	if resp, _ := c.answer("POST"); resp.StatusCode != 400 { // a key on a later request
		t.Fatal(resp.Status)
	}
	c = dialTo(t, r.addr)
	c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: public.example\r\nX-Forwarded-For: 203.0.113.9\r\nContent-Length: 3\r\n\r\nabc", sid)
	if resp, body := c.answer("POST"); resp.StatusCode != 200 || body != "ok" {
		t.Fatal(resp.Status, body)
	}
	got := servers[0].last()
	if got.Header.Get("Sidereal-Key")+got.Header.Get("Sidereal-Worker") != "" {
		t.Errorf("it was told a router's secrets: %v", got.Header)
	}
	if got.Host != "public.example" || got.Header.Get("X-Forwarded-For") != "127.0.0.1" || got.Header.Get("Sidereal-Client") != c.LocalAddr().String() {
		t.Errorf("host %q, %v", got.Host, got.Header)
	}
	ws := dialTo(t, r.addr)
	if resp := ws.upgrade("&sid=" + sid); resp.StatusCode != 101 || resp.Header.Get("X-Kind") != "tcp" {
		t.Fatal(resp.Status, resp.Header)
	}
	ws.echoes("hello")
	awaitSessions(t, d, 1, "the session, which has a WebSocket now")
	ws.CloseWrite()
	ws.ended()
	awaitSessions(t, d, 0, "its end")
}

func awaitSessions(t *testing.T, d *directory.Upstreams, n int, what string) {
	t.Helper()
	testkit.Await(t, fmt.Sprintf("%d sessions: %s", n, what), d.Changed, func() bool {
		w := d.Workers().All()
		return len(w) == 1 && w[0].Clients == n
	})
}

// TestSessionsOfUpstreamsAreCounted: by what their requests and answers say.
func TestSessionsOfUpstreamsAreCounted(t *testing.T) {
	servers, list := startUpstreams(t, 1)
	r, d := listed(t, directory.UpstreamConfig{List: list})
	awaitReady(t, d, 1)
	c := dialTo(t, r.addr)
	one, two, three := c.handshake(), c.handshake(), c.handshake()
	awaitSessions(t, d, 3, "three handshakes")
	c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n41\x1e1", one)
	if resp, body := c.answer("POST"); resp.StatusCode != 200 {
		t.Fatal(resp.Status, body)
	}
	awaitSessions(t, d, 2, "a close packet")
	poll := dialTo(t, r.addr)
	poll.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", two)
	receive(t, servers[0].polling)
	poll.Close()
	awaitSessions(t, d, 1, "a client that left during a poll")
	for _, sid := range []string{"stranger", "%73tranger", strings.Repeat("x", 1000)} {
		if resp, _ := c.get("/socket.io/?transport=polling&sid=" + sid); resp.StatusCode != 400 {
			t.Fatal(resp.Status)
		}
	}
	for _, query := range []string{"&sid=" + three, ""} {
		ws := dialTo(t, r.addr)
		if resp := ws.upgrade(query); resp.StatusCode != 101 {
			t.Fatal(resp.Status)
		}
		ws.echoes("hello")
	}
	awaitSessions(t, d, 2, "a session with a WebSocket, and one that a WebSocket has opened")
}

func TestKilledUpstreamsSidsAreUnknownAtOnce(t *testing.T) {
	servers, list := startUpstreams(t, 2)
	r, d := listed(t, directory.UpstreamConfig{List: list})
	awaitReady(t, d, 2)
	c := dialTo(t, r.addr)
	dead, alive := sessionAt(c, servers[0]), sessionAt(c, servers[1])
	addr := servers[0].l.Addr().String()
	poll := dialTo(t, r.addr)
	poll.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", dead)
	receive(t, servers[0].polling)
	servers[0].kill()
	if resp, body := poll.answer("GET"); resp.StatusCode != 400 || !strings.Contains(body, `"code":1`) {
		t.Errorf("the poll that was waiting: %s %q", resp.Status, body)
	}
	for range 3 {
		c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n6", dead)
		if resp, body := c.answer("POST"); resp.StatusCode != 400 || !strings.Contains(body, `"code":1`) || !strings.Contains(body, servers[1].id) {
			t.Errorf("a dead upstream's sid: %s %q", resp.Status, body)
		}
		c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n6", alive)
		if resp, body := c.answer("POST"); resp.StatusCode != 200 {
			t.Errorf("another's: %s %q", resp.Status, body)
		}
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	again := serveWorker(t, ln, "back")
	awaitReady(t, d, 2)
	sessionAt(c, again)
	if resp, body := c.get("/socket.io/?transport=polling&sid=" + dead); resp.StatusCode != 400 || !strings.Contains(body, "back") {
		t.Errorf("its predecessor's sid: %s %q", resp.Status, body)
	}
}

// An upstream's own 421 is an answer like any other: it knows nothing of doors.
func TestMisdirectedIsTheUpstreamsOwn(t *testing.T) {
	servers, list := startUpstreams(t, 1)
	r, d := listed(t, directory.UpstreamConfig{List: list})
	awaitReady(t, d, 1)
	servers[0].answers(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(421) })
	if resp, _ := dialTo(t, r.addr).get("/"); resp.StatusCode != 421 {
		t.Error(resp.Status)
	}
	if len(d.Workers().Ready()) != 1 {
		t.Error("taken for dead")
	}
}

func TestConnectionsToUpstreamsAreClosedBeforeTheyDoIt(t *testing.T) {
	_, list := startUpstreams(t, 1)
	r, d := listed(t, directory.UpstreamConfig{List: list})
	awaitReady(t, d, 1)
	dialTo(t, r.addr).get("/")
	b := r.workers.of(d.Workers().All()[0])
	idle := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.idle)
	}
	testkit.Until(t, "one is kept", func() bool { return idle() == 1 })
	r.workers.tidy(time.Now().Add(unknownIdle-time.Second), false)
	if idle() != 1 {
		t.Error("closed too soon")
	}
	r.workers.tidy(time.Now().Add(unknownIdle+time.Millisecond), false)
	if idle() != 0 {
		t.Errorf("kept for more than %v: Node closes after 5 s", unknownIdle)
	}
}

func TestUpstreamsOverTLS(t *testing.T) {
	var kinds atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			fmt.Fprint(rw, "over TLS ", r.URL.Path)
			return
		}
		kinds.Add(1)
		c, buf, _ := http.NewResponseController(rw).Hijack()
		defer c.Close()
		fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		line, _ := buf.ReadString('\n')
		fmt.Fprint(c, line)
	}))
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	r, d := listed(t, directory.UpstreamConfig{List: s.URL, RootCAs: roots})
	awaitReady(t, d, 1)
	c := dialTo(t, r.addr)
	for range 3 { // a kept connection, too
		if resp, body := c.get("/page"); resp.StatusCode != 200 || body != "over TLS /page" {
			t.Fatal(resp.Status, body)
		}
	}
	if resp := c.upgrade(""); resp.StatusCode != 101 {
		t.Fatal(resp.Status)
	}
	c.echoes("hello\n")
	c.ended()
	if b := r.workers.of(d.Workers().All()[0]); b.up.TLS.ServerName != "127.0.0.1" {
		t.Errorf("asked for %q", b.up.TLS.ServerName)
	}
}

// A server that can't show a certificate for the listed name gets nothing.
func TestUpstreamsOfAnotherNameAreNotTalkedTo(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	refusals := make(chan string, 1000)
	s.TLS = &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		refusals <- h.ServerName
		return nil, nil
	}}
	s.StartTLS()
	defer s.Close()
	r, d := listed(t, directory.UpstreamConfig{List: s.URL}) // the system's authorities do not know it
	receive(t, refusals)
	receive(t, refusals)
	if len(d.Workers().Ready()) != 0 {
		t.Error("ready")
	}
	if resp, _ := dialTo(t, r.addr).get("/"); resp.StatusCode != 503 || asked.Load() != 0 {
		t.Error(resp.Status, asked.Load())
	}
}

// names is a resolver whose answer can change.
type names struct {
	addrs atomic.Pointer[[]netip.Addr]
}

func (n *names) set(addrs ...string) {
	var all []netip.Addr
	for _, a := range addrs {
		all = append(all, netip.MustParseAddr(a))
	}
	n.addrs.Store(&all)
}

func (n *names) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return *n.addrs.Load(), nil
}

func TestUpstreamThatItsNameLeavesKeepsItsSessions(t *testing.T) {
	first := loopback(t)
	_, port, _ := net.SplitHostPort(first.Addr().String())
	second, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skip("needs a second loopback address: ", err)
	}
	old, young := serveWorker(t, first, "old0"), serveWorker(t, second, "new0")
	var dns names
	dns.set("127.0.0.1")
	r, d := listed(t, directory.UpstreamConfig{List: "http://chat.internal:" + port, Resolver: &dns})
	awaitReady(t, d, 1)
	c := dialTo(t, r.addr)
	sid := c.handshake()
	if !strings.HasPrefix(sid, old.id) {
		t.Fatal(sid)
	}
	dns.set("127.0.0.2")
	testkit.Await(t, "the change", d.Changed, func() bool {
		ready := d.Workers().Ready()
		return len(ready) == 1 && ready[0].Addr == second.Addr().String()
	})
	if resp, _ := c.get("/"); resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	for range 5 {
		if s := c.handshake(); !strings.HasPrefix(s, young.id) {
			t.Errorf("a new session at %s", s[:4])
		}
	}
	c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n6", sid)
	if resp, body := c.answer("POST"); resp.StatusCode != 200 {
		t.Errorf("its session: %s %s", resp.Status, body)
	}
}

func TestUpstreamThatDoesNotAnswerGetsNoNewSessions(t *testing.T) {
	servers, list := startUpstreams(t, 2)
	r, d := listed(t, directory.UpstreamConfig{List: list})
	awaitReady(t, d, 2)
	c := dialTo(t, r.addr)
	sid := sessionAt(c, servers[0])
	var broken atomic.Bool
	broken.Store(true)
	servers[0].becomes(func(rw http.ResponseWriter, req *http.Request) {
		if broken.Load() && req.UserAgent() != "sidereal" { // the checks see nothing of it
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(rw, "well again")
	})
	for range 5 {
		c := dialTo(t, r.addr)
		c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n6", sid)
		if resp, _ := c.answer("POST"); resp.StatusCode != 502 {
			t.Fatal(resp.Status)
		}
	}
	testkit.Await(t, "the ejection", d.Changed, func() bool { return len(d.Workers().Ready()) == 1 })
	for range 10 {
		if s := dialTo(t, r.addr).handshake(); !strings.HasPrefix(s, servers[1].id) {
			t.Errorf("a new session at %s", s[:4])
		}
	}
	broken.Store(false)
	if resp, body := dialTo(t, r.addr).get("/socket.io/?transport=polling&sid=" + sid); resp.StatusCode != 200 || body != "well again" {
		t.Errorf("its session is still tried: %s %s", resp.Status, body)
	}
}
