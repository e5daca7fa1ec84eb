package client_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/sidereal-io/sidereal/client"
)

// fakeServer is a server without a network that a test scripts by hand. It keeps to net.Pipe, so
// that tests can run in fake time.
type fakeServer struct {
	t     testing.TB
	conns chan net.Conn
	fail  func() error // of a dial; nil: none
}

func newFakeServer(t testing.TB) *fakeServer {
	return &fakeServer{t: t, conns: make(chan net.Conn, 10)}
}

func (f *fakeServer) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if f.fail != nil {
		if err := f.fail(); err != nil {
			return nil, err
		}
	}
	ours, theirs := net.Pipe()
	select {
	case f.conns <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// config is for a client of this server that uses WebSockets.
func (f *fakeServer) config() client.Config {
	return client.Config{URL: "http://fake", Transports: []string{client.WebSocket}, Dial: f.Dial, RandomizationFactor: -1}
}

// open is an open packet with Node's usual times.
func open(sid, upgrades string) string {
	return fmt.Sprintf(`0{"sid":%q,"upgrades":[%s],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100}`, sid, upgrades)
}

// webSocket is the server's end of one.
type webSocket struct {
	t    testing.TB
	conn net.Conn
	uri  string
}

// accept accepts the next connection as a WebSocket.
func (f *fakeServer) accept() *webSocket {
	f.t.Helper()
	w := &webSocket{t: f.t, conn: <-f.conns}
	u := ws.Upgrader{OnRequest: func(uri []byte) error { w.uri = string(uri); return nil }}
	if _, err := u.Upgrade(w.conn); err != nil {
		f.t.Errorf("accept: %v", err)
	}
	return w
}

// session accepts a WebSocket, opens the session and answers CONNECT of the main namespace. It
// returns what the CONNECT said.
func (f *fakeServer) session(answer string, before ...string) (*webSocket, string) {
	f.t.Helper()
	w := f.accept()
	w.send(open("sid", ""))
	said := w.read()
	w.send(before...)
	w.send(answer)
	return w, said
}

func (w *webSocket) trySend(text string) error {
	return ws.WriteFrame(w.conn, ws.NewTextFrame([]byte(text)))
}

func (w *webSocket) send(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if err := w.trySend(text); err != nil {
			w.t.Errorf("send %q: %v", text, err)
		}
	}
}

func (w *webSocket) sendBinary(b ...byte) {
	w.t.Helper()
	if err := ws.WriteFrame(w.conn, ws.NewBinaryFrame(b)); err != nil {
		w.t.Errorf("send %v: %v", b, err)
	}
}

// read returns the next message; "close" for a close frame, and "end" at the end.
func (w *webSocket) read() string {
	f, err := ws.ReadFrame(w.conn)
	if err != nil {
		return "end"
	}
	if !f.Header.Masked {
		w.t.Error("a client must mask")
	}
	f = ws.UnmaskFrame(f)
	if f.Header.OpCode == ws.OpClose {
		return "close"
	}
	return string(f.Payload)
}

func (w *webSocket) expect(texts ...string) {
	w.t.Helper()
	for _, want := range texts {
		if got := w.read(); got != want {
			w.t.Errorf("client sent %q, want %q", got, want)
		}
	}
}

// ignore reads and drops until the connection ends.
func (w *webSocket) ignore() { io.Copy(io.Discard, w.conn) }

// pollingServer serves polling requests of one session; upgrades are handed on as WebSockets.
type pollingServer struct {
	*fakeServer
	polls    chan chan string // a poll waits for its answer
	posts    chan string
	upgrades chan *webSocket
	refuse   bool // upgrades
	quit     chan struct{}
	done     sync.WaitGroup
}

// newPollingServer takes connections until the test ends them by stop.
func newPollingServer(f *fakeServer) *pollingServer {
	p := &pollingServer{fakeServer: f, polls: make(chan chan string, 10), posts: make(chan string, 100), upgrades: make(chan *webSocket, 1), quit: make(chan struct{})}
	p.done.Go(func() {
		for conn := range f.conns {
			p.done.Go(func() { p.serve(conn) })
		}
	})
	return p
}

func (p *pollingServer) stop() {
	close(p.conns)
	close(p.quit)
	p.done.Wait()
}

func (p *pollingServer) serve(conn net.Conn) {
	defer conn.Close()
	br := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		switch {
		case r.Header.Get("Upgrade") != "" && p.refuse:
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 18\r\n\r\nSession ID unknown")
			return
		case r.Header.Get("Upgrade") != "":
			p.upgrade(conn, r)
			return
		case r.Method == http.MethodPost:
			body, _ := io.ReadAll(r.Body)
			p.posts <- string(body)
			answer(conn, "ok")
		default:
			c := make(chan string)
			p.polls <- c
			select {
			case text := <-c:
				answer(conn, text)
			case <-p.quit:
				return
			}
		}
	}
}

func (p *pollingServer) upgrade(conn net.Conn, r *http.Request) {
	var head bytes.Buffer
	r.Write(&head)
	w := &webSocket{t: p.t, conn: conn, uri: r.URL.String()}
	var u ws.Upgrader
	if _, err := u.Upgrade(struct {
		io.Reader
		io.Writer
	}{&head, conn}); err != nil {
		p.t.Errorf("upgrade: %v", err)
		return
	}
	done := make(chan struct{})
	w.conn = &told{Conn: conn, done: done}
	p.upgrades <- w
	<-done
}

// told tells when it is closed.
type told struct {
	net.Conn
	once sync.Once
	done chan struct{}
}

func (c *told) Close() error {
	c.once.Do(func() { close(c.done) })
	return c.Conn.Close()
}

func answer(w io.Writer, text string) {
	io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Length: "+fmt.Sprint(len(text))+"\r\n\r\n"+text)
}

// poll answers the next poll, if there is one before stop.
func (p *pollingServer) poll(packets ...string) {
	select {
	case c := <-p.polls:
		c <- strings.Join(packets, "\x1e")
	case <-p.quit:
	}
}
