package router

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(processEnv) != "" {
		runRouterProcess()
		return
	}
	testkit.Main(m)
}

// patience bounds what should happen at once.
const patience = 20 * time.Second

// testWorker is an Engine.IO-like server behind a real handoff socket, or on a port.
type testWorker struct {
	t   testing.TB
	id  string
	l   net.Listener
	srv *http.Server

	mu       sync.Mutex
	sessions map[string]chan string // what a poll of the sid answers
	requests []*http.Request
	kinds    map[string]int // of accepted connections
	upgrades int
	polling  chan string      // sids whose poll is parked
	polled   chan string      // sids whose poll was broken off
	app      http.HandlerFunc // instead of the answers to other paths
	all      http.HandlerFunc // instead of everything
}

func startWorker(t testing.TB, dir, id string) *testWorker {
	t.Helper()
	l, err := handoff.Listen(filepath.Join(dir, id+".sock"), id)
	if err != nil {
		t.Fatal(err)
	}
	return serveWorker(t, l, id)
}

func serveWorker(t testing.TB, l net.Listener, id string) *testWorker {
	t.Helper()
	w := &testWorker{
		t: t, id: id, l: l,
		sessions: make(map[string]chan string), kinds: make(map[string]int),
		polling: make(chan string, 4096), polled: make(chan string, 4096),
	}
	w.srv = &http.Server{Handler: w, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		w.mu.Lock()
		w.kinds[kindOf(c)]++
		w.mu.Unlock()
		return context.WithValue(ctx, connKey{}, c)
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.srv.Serve(l)
	}()
	t.Cleanup(func() {
		w.kill()
		<-done
	})
	return w
}

type connKey struct{}

// kindOf is how a connection came to its worker; tcp: to a port of its own.
func kindOf(c net.Conn) string {
	if passed, ok := c.(*handoff.Conn); ok {
		return passed.Kind().String()
	}
	return "tcp"
}

// answers replaces what the worker says to requests outside of Socket.IO's path.
func (w *testWorker) answers(h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.app = h
}

// becomes replaces the worker's whole server.
func (w *testWorker) becomes(h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = h
}

// kill ends the worker as a crash would: everything is closed at once.
func (w *testWorker) kill() {
	w.l.Close()
	w.srv.Close()
}

func (w *testWorker) open() string {
	sid := directory.MintSID(w.id)
	w.mu.Lock()
	w.sessions[sid] = make(chan string, 100)
	w.mu.Unlock()
	return sid
}

func (w *testWorker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if id := r.Header.Get("Sidereal-Worker"); id != "" && id != w.id {
		rw.WriteHeader(421)
		return
	}
	w.mu.Lock()
	w.requests = append(w.requests, r)
	app, all := w.app, w.all
	w.mu.Unlock()
	if all != nil {
		all(rw, r)
		return
	}
	if !strings.HasPrefix(r.RequestURI, "/socket.io/") {
		if app != nil {
			app(rw, r)
			return
		}
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%s %s %s %d", w.id, r.Method, r.RequestURI, len(b))
		return
	}
	q := r.URL.Query()
	sid := q.Get("sid")
	if v := q["sid"]; len(v) > 0 {
		sid = v[len(v)-1]
	}
	if sid == "" && r.Header.Get("Upgrade") == "" {
		if r.Method != "GET" || q.Get("transport") == "" {
			rw.WriteHeader(400)
			return
		}
		fmt.Fprintf(rw, `0{"sid":"%s","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`, w.open())
		return
	}
	w.mu.Lock()
	ch := w.sessions[sid]
	w.mu.Unlock()
	if ch == nil && sid != "" {
		rw.WriteHeader(400)
		fmt.Fprintf(rw, `{"code":1,"message":"Session ID unknown","worker":"%s"}`, w.id)
		return
	}
	switch {
	case r.Header.Get("Upgrade") != "":
		w.echo(rw, r)
	case r.Method == "GET":
		w.polling <- sid
		select {
		case m := <-ch:
			io.WriteString(rw, m)
		case <-r.Context().Done():
			w.polled <- sid
		}
	default:
		b, _ := io.ReadAll(r.Body)
		ch <- fmt.Sprintf("%s got %d", w.id, len(b))
		io.WriteString(rw, "ok")
	}
}

// echo is a WebSocket, as far as a router can tell.
func (w *testWorker) echo(rw http.ResponseWriter, r *http.Request) {
	c, buf, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		w.t.Error(err)
		return
	}
	defer c.Close()
	w.mu.Lock()
	w.upgrades++
	w.mu.Unlock()
	c.SetDeadline(time.Time{})
	kind := kindOf(r.Context().Value(connKey{}).(net.Conn))
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Worker: %s\r\nX-Kind: %s\r\nX-From: %s\r\n\r\n", w.id, kind, c.RemoteAddr())
	io.Copy(c, buf)
	c.(interface{ CloseWrite() error }).CloseWrite()
}

func (w *testWorker) last() *http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.requests) == 0 {
		return nil
	}
	return w.requests[len(w.requests)-1]
}

func (w *testWorker) count(kind string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kinds[kind]
}

// testRouter is a router that serves on loopback.
type testRouter struct {
	*Router
	addr string
	stop context.CancelFunc
	done chan error
}

func startRouter(t testing.TB, ln net.Listener, cfg Config) *testRouter {
	t.Helper()
	if cfg.ShutdownTimeout == 0 {
		cfg.ShutdownTimeout = 100 * time.Millisecond
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	tr := &testRouter{Router: r, addr: ln.Addr().String(), stop: cancel, done: make(chan error, 1)}
	go func() {
		tr.done <- r.Serve(ctx, ln)
		close(tr.done)
	}()
	t.Cleanup(func() {
		cancel()
		for err := range tr.done {
			if err != nil {
				t.Error(err)
			}
		}
	})
	return tr
}

func loopback(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return netio.Accepting(ln)
}

// host is one host: a router and its workers.
type host struct {
	dir     string
	workers map[string]*testWorker
	*testRouter
}

// cluster starts hosts "a", "b", ... with so many workers each, around one directory.
func cluster(t testing.TB, d *directory.Static, change func(*Config), workers ...int) []*host {
	t.Helper()
	var hosts []*host
	var lns []net.Listener
	var records []directory.Worker
	for i, n := range workers {
		ln := loopback(t)
		h := &host{dir: t.TempDir(), workers: make(map[string]*testWorker)}
		name := string(rune('a' + i))
		for j := range n {
			id := fmt.Sprintf("wk%s%d", name, j)
			h.workers[id] = startWorker(t, h.dir, id)
			records = append(records, directory.Worker{ID: id, Host: name, Addr: ln.Addr().String(), Tags: true, Slot: j + 1})
		}
		hosts, lns = append(hosts, h), append(lns, ln)
	}
	d.Set(records...)
	for i, h := range hosts {
		cfg := Config{Directory: d, RuntimeDir: h.dir, HostName: string(rune('a' + i)), AdvertiseAddr: lns[i].Addr().String()}
		if change != nil {
			change(&cfg)
		}
		h.testRouter = startRouter(t, lns[i], cfg)
	}
	return hosts
}

// one is a single host.
func one(t testing.TB, workers int, change func(*Config)) (*host, *directory.Static) {
	d := directory.NewStatic()
	return cluster(t, d, change, workers)[0], d
}

// client is a raw connection.
type testClient struct {
	t testing.TB
	*net.TCPConn
	br   *bufio.Reader
	over *tls.Conn // nil: plain
}

func dialTo(t testing.TB, addr string) *testClient {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return &testClient{t: t, TCPConn: c.(*net.TCPConn), br: bufio.NewReader(c)}
}

func (c *testClient) send(format string, args ...any) {
	c.t.Helper()
	var w io.Writer = c.TCPConn
	if c.over != nil {
		w = c.over
	}
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads a response to a request with that method.
func (c *testClient) answer(method string) (*http.Response, string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode == 101 {
		return resp, ""
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp, string(b)
}

func (c *testClient) get(target string) (*http.Response, string) {
	c.t.Helper()
	c.send("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target)
	return c.answer("GET")
}

// ended expects the router to have closed the connection.
func (c *testClient) ended() {
	c.t.Helper()
	if b, err := c.br.ReadByte(); err == nil {
		c.t.Errorf("the connection is open and says %q", b)
	} else if isTimeout(err) {
		c.t.Error("the connection stays open")
	}
}

// handshake opens a session by polling.
func (c *testClient) handshake() string {
	c.t.Helper()
	resp, body := c.get("/socket.io/?EIO=4&transport=polling")
	if resp.StatusCode != 200 || !strings.HasPrefix(body, `0{"sid":"`) {
		c.t.Fatalf("handshake: %d %q", resp.StatusCode, body)
	}
	return body[9:29]
}

const upgradeFields = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func (c *testClient) upgrade(query string) *http.Response {
	c.t.Helper()
	c.send("GET /socket.io/?EIO=4&transport=websocket%s HTTP/1.1\r\n%s\r\n", query, upgradeFields)
	resp, _ := c.answer("GET")
	return resp
}

func (c *testClient) echoes(s string) {
	c.t.Helper()
	c.send("%s", s)
	b := make([]byte, len(s))
	if _, err := io.ReadFull(c.br, b); err != nil || string(b) != s {
		c.t.Fatalf("echo of %q: %q, %v", s, b, err)
	}
}

func receive(t testing.TB, ch <-chan string) string {
	t.Helper()
	select {
	case s := <-ch:
		return s
	case <-time.After(patience):
		t.Fatal("nothing came")
		return ""
	}
}

func fds(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	return len(d)
}
