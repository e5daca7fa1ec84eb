package router

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// embedded is a server of somebody else that has a router beside its pages, with a worker on this
// host.
func embedded(t *testing.T, change func(*Config), wrap bool) (*Router, *testWorker, *httptest.Server) {
	t.Helper()
	dir := t.TempDir()
	w := startWorker(t, dir, "wka0")
	cfg := Config{Directory: directory.NewStatic(directory.Worker{ID: "wka0", Host: "a", Tags: true}), RuntimeDir: dir, HostName: "a", ShutdownTimeout: tick}
	if change != nil {
		change(&cfg)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", r)
	mux.HandleFunc("/", func(rw http.ResponseWriter, req *http.Request) { fmt.Fprint(rw, "own page ", req.URL.Path) })
	s := httptest.NewUnstartedServer(mux)
	if wrap {
		s.Listener = r.Listener(s.Listener)
	}
	stop := testkit.Run(t, func(ctx context.Context) error { return r.Serve(ctx) })
	testkit.Until(t, "the router runs", r.runs)
	s.Start()
	t.Cleanup(func() {
		stop()
		s.CloseClientConnections()
		s.Close()
	})
	return r, w, s
}

func TestHandlerBesideOwnPages(t *testing.T) {
	for name, wrap := range map[string]bool{"handler": false, "listener": true} {
		t.Run(name, func(t *testing.T) {
			r, w, s := embedded(t, nil, wrap)
			addr := s.Listener.Addr().String()
			c := dialTo(t, addr)
			if _, body := c.get("/about"); body != "own page /about" {
				t.Error(body)
			}
			sid := c.handshake()
			c.send("POST /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", sid)
			if resp, body := c.answer("POST"); body != "ok" {
				t.Fatal(resp.Status, body)
			}
			if got := w.last().Header; got.Get("X-Forwarded-For") != "127.0.0.1" || got.Get("Sidereal-Client") != c.LocalAddr().String() {
				t.Errorf("the worker reads %v", got)
			}
			if _, body := c.get("/socket.io/?transport=polling&sid=" + sid); body != "wka0 got 5" {
				t.Error(body)
			}
			if resp, body := c.get("/socket.io/?transport=polling&sid=unknown"); resp.StatusCode != 400 || !strings.Contains(body, `"code":1`) {
				t.Error(resp.Status, body)
			}
			if _, body := c.get("/again"); body != "own page /again" { // on the same connection
				t.Error(body)
			}
			ws := dialTo(t, addr)
			ws.send("GET /socket.io/?EIO=4&transport=websocket&sid=%s HTTP/1.1\r\n%s\r\nearly", sid, upgradeFields)
			resp, _ := ws.answer("GET")
			if resp.StatusCode != 101 || resp.Header.Get("X-Kind") != "client" || resp.Header.Get("X-From") != ws.LocalAddr().String() {
				t.Fatal(resp.Status, resp.Header)
			}
			early := make([]byte, len("early"))
			if _, err := io.ReadFull(ws.br, early); err != nil || string(early) != "early" {
				t.Errorf("%q, %v", early, err)
			}
			ws.echoes("hello")
			testkit.Until(t, "nothing is held", func() bool { return r.Connections() == 0 })
			if ws := dialTo(t, addr); ws.upgrade("&sid=unknown").StatusCode != 400 {
				t.Error("an upgrade of nobody's session")
			} else {
				ws.ended()
			}
		})
	}
}

func TestHandlerOverHTTPS(t *testing.T) {
	r, w, plain := embedded(t, func(cfg *Config) { cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} }, false)
	s := httptest.NewUnstartedServer(plain.Config.Handler)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	resp, err := s.Client().Get(s.URL + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.ProtoMajor != 2 || !strings.HasPrefix(string(body), `0{"sid":"`) || w.last().Header.Get("Sidereal-Proto") != "https" || w.last().Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("%s %s %v", resp.Proto, body, w.last().Header)
	}
	c := dialTo(t, s.Listener.Addr().String())
	c.over = tls.Client(c.TCPConn, &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"})
	c.br = bufio.NewReader(c.over)
	if resp := c.upgrade(""); resp.StatusCode != 101 || resp.Header.Get("X-Kind") != "local" { // relayed
		t.Fatal(resp.Status, resp.Header)
	}
	c.echoes("hello")
	c.TCPConn.Close()
	testkit.Until(t, "the relay ends", func() bool { return r.Connections() == 0 })
}

func TestHandlersClientLeavesItsPoll(t *testing.T) {
	_, w, s := embedded(t, nil, false)
	c := dialTo(t, s.Listener.Addr().String())
	sid := c.handshake()
	c.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", sid)
	receive(t, w.polling)
	c.Close()
	if got := receive(t, w.polled); got != sid {
		t.Errorf("given up: %s, want %s", got, sid)
	}
}

func TestHandlerOfARouterThatDoesNotRun(t *testing.T) {
	r, err := New(Config{Directory: directory.NewStatic()})
	if err != nil {
		t.Fatal(err)
	}
	for _, upgrade := range []string{"", "websocket"} {
		req := httptest.NewRequest("GET", "/socket.io/?EIO=4&transport=polling", nil)
		req.Header.Set("Upgrade", upgrade)
		rec := httptest.NewRecorder()
		if r.ServeHTTP(rec, req); rec.Code != 503 || rec.Header().Get("Retry-After") == "" {
			t.Error(rec.Code, rec.Header())
		}
	}
}

// A stopping router cuts the requests that wait, also those of somebody else's server.
func TestHandlerStopsWithTheRouter(t *testing.T) {
	dir := t.TempDir()
	w := startWorker(t, dir, "wka0")
	r, err := New(Config{Directory: directory.NewStatic(directory.Worker{ID: "wka0", Host: "a", Tags: true}), RuntimeDir: dir, HostName: "a", ShutdownTimeout: tick})
	if err != nil {
		t.Fatal(err)
	}
	stop := testkit.Run(t, func(ctx context.Context) error { return r.Serve(ctx) })
	testkit.Until(t, "the router runs", r.runs)
	s := httptest.NewServer(r)
	defer s.Close()
	defer s.CloseClientConnections()
	c := dialTo(t, s.Listener.Addr().String())
	c.send("GET /socket.io/?transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", w.open())
	receive(t, w.polling)
	stop() // returns when nothing is left
	c.ended()
	if resp, _ := dialTo(t, s.Listener.Addr().String()).get("/"); resp.StatusCode != 503 {
		t.Error(resp.Status)
	}
}

func TestListenerEndsWithItsConnections(t *testing.T) {
	_, _, s := embedded(t, nil, true)
	silent := dialTo(t, s.Listener.Addr().String())
	dialTo(t, s.Listener.Addr().String()).get("/")
	ln := s.Listener
	ln.Close()
	silent.ended()
	if _, err := ln.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
	if c, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		c.Close()
		t.Error("it is open")
	}
}

// TestSilentConnectionsOfAListenerGiveWay: the oldest one makes room for the next.
func TestSilentConnectionsOfAListenerGiveWay(t *testing.T) {
	r, _, s := embedded(t, func(cfg *Config) { cfg.MaxSilent = 2 }, true)
	addr := s.Listener.Addr().String()
	l := s.Listener.(*listener)
	silent := func(want int) {
		testkit.Until(t, fmt.Sprint(want, " silent connections"), func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.silent.n == want
		})
	}
	first := dialTo(t, addr)
	silent(1)
	second := dialTo(t, addr)
	silent(2)
	third := dialTo(t, addr)
	first.ended()
	silent(2)
	for _, c := range []*testClient{second, third} {
		if _, body := c.get("/about"); body != "own page /about" {
			t.Error(body)
		}
	}
	silent(0)
	if n := counter(t, r.metrics.evicted.WithLabelValues("newcomer")); n != 1 {
		t.Errorf("%v counted", n)
	}
}
