package worker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

// doors is a worker that serves its port with net/http, and beside it a handoff socket.
type doors struct {
	*running
	pollServer *pollServer
	open       func() net.Conn
}

func openDoors(t *testing.T, app App) *doors {
	t.Helper()
	return openDoorsWith(t, func(*Config) {}, app)
}

// openDoorsWith is openDoors with a configuration that edit has changed.
func openDoorsWith(t *testing.T, edit func(*Config), app App) *doors {
	t.Helper()
	d := &doors{running: startWith(t, edit, app, "SIDEREAL_SHUTDOWN_TIMEOUT=50ms")} // sessions that nobody ends are cut off
	id := d.awaitReady()
	path := filepath.Join(shortDir(t), "h.sock")
	l, err := handoff.Listen(path, id)
	if err != nil {
		t.Fatal(err)
	}
	d.pollServer = newPollServer(d.worker, l)
	served := make(chan error, 1)
	go func() { served <- d.serve(d.pollServer) }()
	sender, err := handoff.Dial(t.Context(), path, id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sender.Close()
		d.end() // net/http's, too
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(d.pollServer.shutdown(ctx), d.pollServer.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	d.open = func() net.Conn {
		t.Helper()
		conn, err := sender.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	return d
}

// talker is a router's end of a connection.
type talker struct {
	t *testing.T
	net.Conn
	br *bufio.Reader
}

func talk(t *testing.T, c net.Conn) *talker {
	c.SetDeadline(time.Now().Add(patience))
	return &talker{t, c, bufio.NewReader(c)}
}

func (c *talker) send(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal(err)
	}
}

func (c *talker) get(target string) {
	c.t.Helper()
	c.send("GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target)
}

func (c *talker) post(target, body string) {
	c.t.Helper()
	c.send("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s", target, len(body), body)
}

func (c *talker) answer(method string) (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res, string(body)
}

func (c *talker) want(status int, body string) {
	c.t.Helper()
	if res, got := c.answer("GET"); res.StatusCode != status || got != body {
		c.t.Errorf("answer %d %.100q, want %d %q", res.StatusCode, got, status, body)
	}
}

var sidOf = regexp.MustCompile(`"sid":"([^"]+)"`)

// session opens one, joins the main namespace, and returns the target of its polls and posts.
func (c *talker) session() string {
	c.t.Helper()
	c.get(handshake)
	_, body := c.answer("GET")
	sid := sidOf.FindStringSubmatch(body)
	if sid == nil {
		c.t.Fatalf("handshake: %s", body)
	}
	target := handshake + "&sid=" + sid[1]
	c.post(target, "40")
	c.want(200, "ok")
	c.get(target)
	if _, body := c.answer("GET"); !strings.HasPrefix(body, "40{") {
		c.t.Fatalf("join: %s", body)
	}
	return target
}

// echoes is an app that echoes, says what it is told to say, and tells of each end.
func echoes(ended chan<- string) App {
	return func(ctx context.Context, io *socketio.Server) error {
		io.On("echo", func(s string) (string, error) { return s, nil })
		io.On("many", func(s *socketio.Socket, n int) error { return s.Emit("many", strings.Repeat("m", n)) })
		io.OnDisconnect(func(_ *socketio.Socket, reason string) { ended <- reason })
		return hello(ctx, io)
	}
}

// TestHooksOfRequestsKnowTheirWorker holds for polls over a router's connection, which net/http
// doesn't read.
func TestHooksOfRequestsKnowTheirWorker(t *testing.T) {
	told := make(chan string, 100)
	d := openDoorsWith(t, func(cfg *Config) {
		cfg.SocketIO.AllowRequest = func(r *http.Request) error { told <- InfoFrom(r.Context()).ID; return nil }
		cfg.SocketIO.Headers = func(_ http.Header, r *http.Request) { told <- InfoFrom(r.Context()).ID }
	}, echoes(make(chan string, 100)))
	talk(t, d.open()).session()
	for range 4 { // the handshake is allowed, and it, a post and a poll get fields
		if id := testkit.Receive(t, "a hook", told); id != d.ID() {
			t.Errorf("a hook is told worker %q, want %q", id, d.ID())
		}
	}
}

func TestPollingOverARoutersConnection(t *testing.T) {
	ended := make(chan string, 100)
	d := openDoors(t, echoes(ended))
	c := talk(t, d.open())
	target := c.session()
	poll := talk(t, d.open())
	for i := range 3 {
		poll.get(target) // waits
		c.post(target, fmt.Sprintf(`42%d["echo","x"]`, i))
		c.want(200, "ok")
		res, body := poll.answer("GET")
		if body != fmt.Sprintf(`43%d["x"]`, i) || res.ContentLength != int64(len(body)) || res.Close ||
			res.Header.Get("Content-Type") != "text/plain; charset=UTF-8" || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Date") == "" {
			t.Errorf("%q, %v", body, res.Header)
		}
	}
	d.pollServer.mu.Lock()
	if n := len(d.pollServer.conns); n != 2 {
		t.Errorf("%d connections are served by us, want both", n)
	}
	d.pollServer.mu.Unlock()
	c.post(target, "1")
	c.want(200, "ok")
	if reason := testkit.Receive(t, "the end", ended); reason != "transport close" {
		t.Error(reason)
	}
}

// A router that closes a connection on which a poll waits says that the client has left.
func TestRouterGivesUpAParkedPoll(t *testing.T) {
	ended := make(chan string, 100)
	d := openDoors(t, echoes(ended))
	c := talk(t, d.open())
	c.get(c.session())
	testkit.Until(t, "the poll waits", func() bool { return d.parked() == 1 })
	c.Close()
	if reason := testkit.Receive(t, "the end", ended); reason != "transport error" {
		t.Error(reason)
	}
}

// parked is how many responses wait.
func (d *doors) parked() (n int) {
	d.pollServer.mu.Lock()
	defer d.pollServer.mu.Unlock()
	for c := range d.pollServer.conns {
		if c.waits() {
			n++
		}
	}
	return n
}

// No router sends bytes while a poll waits: the connection ends, and the session with it.
func TestRequestBehindAParkedPoll(t *testing.T) {
	ended := make(chan string, 100)
	d := openDoors(t, echoes(ended))
	c := talk(t, d.open())
	target := c.session()
	c.get(target)
	testkit.Until(t, "the poll waits", func() bool { return d.parked() == 1 })
	c.get(target)
	if b, err := io.ReadAll(c.br); len(b) > 0 {
		t.Errorf("answered %q, %v", b, err)
	}
	if reason := testkit.Receive(t, "the end", ended); reason != "transport error" {
		t.Error(reason)
	}
}

// An answer that the kernel does not take at once follows as it is read, and the connection goes
// on.
func TestParkedPollWithALongAnswer(t *testing.T) {
	const long = 8 << 20
	d := openDoors(t, echoes(make(chan string, 100)))
	c, poll := talk(t, d.open()), talk(t, d.open())
	target := c.session()
	poll.get(target)
	testkit.Until(t, "the poll waits", func() bool { return d.parked() == 1 })
	c.post(target, fmt.Sprintf(`42["many",%d]`, long))
	c.want(200, "ok")
	if d.parked() != 1 {
		t.Error("it is not under way")
	}
	if _, body := poll.answer("GET"); len(body) != long+len(`42["many",""]`) {
		t.Errorf("%d bytes", len(body))
	}
	poll.post(target, `421["echo","x"]`)
	poll.want(200, "ok")
}

// midway has a parked poll whose answer its router has got, while the goroutine that wrote the end
// of it has not claims so.
func midway(t *testing.T, d *doors) (poll *talker, target string, written func()) {
	c, poll := talk(t, d.open()), talk(t, d.open())
	target = c.session()
	poll.get(target)
	testkit.Until(t, "the poll waits", func() bool { return d.parked() == 1 })
	d.each(func(pc *conn) {
		if res := pc.parked; res != nil { // as send leaves it to sendRest
			pc.rest = make(chan struct{})
			written = func() { res.wrote(nil) }
			if _, err := pc.nc.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n6")); err != nil {
				t.Error(err)
			}
		}
	})
	poll.want(200, "6")
	return poll, target, written
}

// each calls f with each connection that we serve, locked.
func (d *doors) each(f func(*conn)) {
	d.pollServer.mu.Lock()
	defer d.pollServer.mu.Unlock()
	for c := range d.pollServer.conns {
		c.mu.Lock()
		f(c)
		c.mu.Unlock()
	}
}

// A router may use its connection for the next request as soon as it has the whole answer.
func TestRequestRightBehindALongAnswer(t *testing.T) {
	d := openDoors(t, echoes(make(chan string, 100)))
	poll, target, written := midway(t, d)
	poll.post(target, `42["nobody hears"]`) // nor answers: the session would take midway's poll for one that waits
	testkit.Until(t, "the request is seen", func() (seen bool) {
		d.each(func(c *conn) { seen = seen || c.rest != nil && c.state == connActive })
		return seen
	})
	written()
	poll.want(200, "ok")
}

// A router that closes its connection behind the answer has not given the poll up: the session
// lives.
func TestConnectionEndsRightBehindALongAnswer(t *testing.T) {
	ended := make(chan string, 100)
	d := openDoors(t, echoes(ended))
	poll, target, written := midway(t, d)
	poll.Close()
	written()
	testkit.Until(t, "the end is seen", func() bool {
		d.pollServer.mu.Lock()
		defer d.pollServer.mu.Unlock()
		return len(d.pollServer.conns) == 1
	})
	c := talk(t, d.open())
	c.post(target, `42["nobody hears"]`)
	c.want(200, "ok")
	if len(ended) > 0 {
		t.Error("the session has ended: ", <-ended)
	}
}

// A long answer whose reader leaves ends the session.
func TestParkedPollIsLeftInTheMiddle(t *testing.T) {
	ended := make(chan string, 100)
	d := openDoors(t, echoes(ended))
	c, poll := talk(t, d.open()), talk(t, d.open())
	target := c.session()
	poll.get(target)
	testkit.Until(t, "the poll waits", func() bool { return d.parked() == 1 })
	c.post(target, fmt.Sprintf(`42["many",%d]`, 8<<20))
	c.want(200, "ok")
	poll.Close()
	if reason := testkit.Receive(t, "the end", ended); reason != "transport error" {
		t.Error(reason)
	}
}

// Other requests than polls are served as net/http does, and the connection is net/http's from then
// on, with the bytes that come next.
func TestOtherRequestsAreNetHTTPs(t *testing.T) {
	d := openDoors(t, echoes(make(chan string, 100)))
	for name, c := range map[string]struct {
		request string
		method  string
		status  int
		body    string
	}{
		"a page":         {"GET /hello HTTP/1.1\r\nHost: x\r\nSidereal-Client: 203.0.113.5:1\r\nSidereal-Proto: https\r\n\r\n", "GET", 200, "hello 203.0.113.5:1, secure true, 0 of our headers"},
		"HEAD":           {"HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD", 200, ""},
		"a bundle":       {"GET /socket.io/nothing.js HTTP/1.1\r\nHost: x\r\n\r\n", "GET", 400, `{"code":0,"message":"Transport unknown"}`},
		"HEAD of a poll": {"HEAD " + handshake + " HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD", 400, ""},
		"chunked":        {"POST " + handshake + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n\r\n", "POST", 400, `{"code":2,"message":"Bad handshake method"}`},
		"expecting":      {"POST " + handshake + " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", "POST", 400, `{"code":2,"message":"Bad handshake method"}`},
		"an upgrade":     {"GET " + handshake + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET", 400, "Missing or invalid Sec-WebSocket-Key header"},
		"malformed":      {"GET " + handshake + " HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n", "GET", 400, "400 Bad Request: invalid header name"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := talk(t, d.open())
			conn.session() // ours until here
			conn.send("%s", c.request)
			if res, body := conn.answer(c.method); res.StatusCode != c.status || body != c.body {
				t.Fatalf("%d %q, want %d %q", res.StatusCode, body, c.status, c.body)
			} else if res.Close {
				return
			}
			conn.session() // and on
		})
	}
}

// A WebSocket over a router's connection, as a relay has it.
func TestWebSocketOverARoutersConnection(t *testing.T) {
	d := openDoors(t, echoes(make(chan string, 100)))
	c := talk(t, d.open())
	c.session()
	c.send("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if res, err := http.ReadResponse(c.br, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	if b, err := c.br.Peek(4); err != nil || b[0] != 0x81 || b[2] != '0' && b[3] != '0' {
		t.Errorf("open packet %q, %v", b, err)
	}
}

// TestSameAnswersAsNetHTTP asks both servers the same.
func TestSameAnswersAsNetHTTP(t *testing.T) {
	d := openDoors(t, echoes(make(chan string, 100)))
	sids := regexp.MustCompile(`sid\\?":\\?"[^"\\]+`)
	ask := func(conn net.Conn, request string) (string, http.Header) {
		c := talk(t, conn)
		if strings.Contains(request, "SID") {
			_, sid, _ := strings.Cut(c.session(), "&sid=")
			request = strings.ReplaceAll(request, "SID", sid)
		}
		c.send("%s", request)
		res, body := c.answer("GET")
		if res.Header.Get("Date") == "" {
			t.Errorf("%q: no Date", request)
		}
		res.Header.Del("Date")
		return fmt.Sprintf("%d, close %v, length %d, %s", res.StatusCode, res.Close, res.ContentLength, sids.ReplaceAllString(body, "sid")), res.Header
	}
	for _, request := range []string{
		"GET " + handshake + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET " + handshake + "&j=3 HTTP/1.1\r\nHost: x\r\nUser-Agent: Trident/7\r\n\r\n",
		"GET " + handshake + "&sid=nobody HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /socket.io/?EIO=3&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /socket.io/?EIO=4&transport=%7fpolling HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /socket.io/? HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET " + handshake + " HTTP/1.1\r\nHost: x\r\nOrigin: a\tb\r\nX-A: 1\r\nX-A: 2\r\nx-a: 3\r\n\r\n",
		"POST " + handshake + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1",
		"POST " + handshake + "&sid=SID HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"POST " + handshake + "&sid=SID HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nmalformed",
		"POST " + handshake + "&sid=SID HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\n\r\n1",
	} {
		a, ah := ask(d.open(), request)
		b, bh := ask(dial(t, d.Addr()), request)
		if a != b || fmt.Sprint(ah) != fmt.Sprint(bh) {
			t.Errorf("%q:\nours %s %v\nnet/http %s %v", request, a, ah, b, bh)
		}
	}
}

// The engine compresses for us the answers that it compresses for net/http.
func TestCompressedAnswer(t *testing.T) {
	d := openDoors(t, echoes(make(chan string, 100)))
	c, poll := talk(t, d.open()), talk(t, d.open())
	target := c.session()
	poll.send("GET %s HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n", target)
	testkit.Until(t, "the poll waits", func() bool { return d.parked() == 1 })
	c.post(target, `42["many",100000]`)
	c.want(200, "ok")
	if res, body := poll.answer("GET"); res.Header.Get("Content-Encoding") != "gzip" || len(body) > 10000 {
		t.Errorf("%d bytes, %v", len(body), res.Header)
	}
}

// The end of the serving lets requests under way be answered and closes what is idle.
func TestShutdownAnswersParkedPolls(t *testing.T) {
	d := openDoors(t, echoes(make(chan string, 100)))
	c, idle, poll := talk(t, d.open()), talk(t, d.open()), talk(t, d.open())
	target := c.session()
	idle.session()
	poll.get(target)
	testkit.Until(t, "the poll waits", func() bool { return d.parked() == 1 })
	over := make(chan error, 1)
	go func() { over <- d.pollServer.shutdown(context.Background()) }()
	if b, err := io.ReadAll(idle.br); len(b) > 0 || err != nil {
		t.Errorf("the idle one: %q, %v", b, err)
	}
	for s := range d.io.Engine().Sessions() {
		s.Send(engineio.NewText([]byte("x")))
	}
	poll.want(200, "4x")
	if b, err := io.ReadAll(poll.br); len(b) > 0 || err != nil {
		t.Errorf("behind the answer: %q, %v", b, err)
	}
	if err := testkit.Receive(t, "the end of the serving", over); err != nil {
		t.Error(err)
	}
}

// A response's fields are one line each, whatever an app puts into them.
func TestResponseFieldsAreLines(t *testing.T) {
	r := &response{}
	r.Header()["X-A"] = []string{"b\r\nSet-Cookie: c", "d"}
	r.Header()["Bad Name"] = []string{"x"}
	r.Header().Set("Content-Length", "7")
	io.WriteString(r, "body")
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(r.compose())), nil)
	if err != nil {
		t.Fatal(err)
	}
	if v := res.Header["X-A"]; len(res.Header) != 3 || res.ContentLength != 4 || fmt.Sprint(v) != "[b  Set-Cookie: c d]" {
		t.Errorf("%v", res.Header)
	}
}
