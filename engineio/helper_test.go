package engineio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/netio"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// The ways in which a WebSocket's connection can be driven. On systems without a poller they are
// the same but for pipe.
const (
	onPipe   = "pipe"   // net.Pipe: a streamLink
	onSocket = "socket" // TCP, no poller
	onPoller = "poller" // TCP, parked in the poller
)

var drives = []string{onPipe, onSocket, onPoller}

// fixture is a running server behind net/http.
type fixture struct {
	t       testing.TB
	srv     *Server
	dial    func() net.Conn
	client  *http.Client
	opened  chan *recorder
	refused chan ConnectionError
	stop    func() // ends Run and waits
}

// serve runs a server with cfg on in-memory connections, or on TCP.
func serve(t testing.TB, cfg Config, drive ...string) *fixture {
	t.Helper()
	f := &fixture{t: t, opened: make(chan *recorder, 2000), refused: make(chan ConnectionError, 100)}
	if cfg.Open == nil {
		cfg.Open = func(s *Session) Receiver {
			r := newRecorder(s)
			f.opened <- r
			return r
		}
	}
	if cfg.OnError == nil {
		cfg.OnError = func(e ConnectionError) {
			select {
			case f.refused <- e:
			default:
			}
		}
	}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.srv = srv
	var ln net.Listener
	if len(drive) == 0 || drive[0] == onPipe {
		p := newPipeListener()
		ln, f.dial = p, p.dial
	} else {
		if drive[0] == onSocket {
			disablePoller(srv)
		}
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln = tcp
		f.dial = func() net.Conn {
			c, err := net.Dial("tcp", tcp.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
	}
	transport := &http.Transport{
		DialContext:        func(context.Context, string, string) (net.Conn, error) { return f.dial(), nil },
		DisableCompression: true,
	}
	f.client = &http.Client{Transport: transport}
	hs := &http.Server{Handler: srv}
	if parking(t) {
		hs.Handler = parks{srv}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	srv.running.Store(true) // as Run does; no connection may come before
	running.Go(func() { srv.Run(ctx) })
	running.Go(func() { hs.Serve(ln) })
	f.stop = sync.OnceFunc(func() {
		cancel()
		transport.CloseIdleConnections()
		hs.Close()
		running.Wait()
	})
	t.Cleanup(f.stop)
	return f
}

// pipeListener accepts net.Pipe connections, which a synctest bubble can wait for.
type pipeListener struct {
	*netio.Feed
	dialed atomic.Int64
}

func newPipeListener() *pipeListener {
	return &pipeListener{Feed: netio.NewFeed(&net.UnixAddr{Name: "pipe", Net: "unix"})}
}

func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	if !l.Give(&pipeEnd{server, fmt.Sprintf("192.0.2.1:%d", l.dialed.Add(1))}) {
		server.Close()
	}
	return client
}

// pipeEnd is a server's end of a pipe, with a client's address of its own.
type pipeEnd struct {
	net.Conn
	addr string
}

func (e *pipeEnd) RemoteAddr() net.Addr { return &net.UnixAddr{Name: e.addr, Net: "pipe"} }

// recorder is a Receiver that hands what it gets to the test. "echo:..." is sent back, "close"
// closes.
type recorder struct {
	s        *Session
	messages chan string // binary ones as "b:..."
	idles    chan struct{}
	closed   chan string
	err      error
}

func newRecorder(s *Session) *recorder {
	return &recorder{s: s, messages: make(chan string, 10000), idles: make(chan struct{}, 10000), closed: make(chan string, 2)}
}

func (r *recorder) Receive(data []byte, binary bool) {
	switch {
	case binary:
		r.messages <- "b:" + string(data)
	case strings.HasPrefix(string(data), "echo:"):
		r.s.Send(NewText(data))
	default:
		if string(data) == "close" {
			r.s.Close()
		}
		r.messages <- string(data)
	}
}

func (r *recorder) Idle() {
	select {
	case r.idles <- struct{}{}:
	default:
	}
}

func (r *recorder) Closed(reason string, err error) {
	r.err = err
	r.closed <- reason
}

func (f *fixture) session() *recorder {
	f.t.Helper()
	return <-f.opened
}

func (r *recorder) wantClosed(t testing.TB, want string) {
	t.Helper()
	if got := <-r.closed; got != want {
		t.Errorf("closed with %q (%v), want %q", got, r.err, want)
	}
}

func (r *recorder) wantMessage(t testing.TB, want string) {
	t.Helper()
	if got := <-r.messages; got != want {
		t.Errorf("received %q, want %q", got, want)
	}
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// do makes a request of the server's path with a query. A nil answer means that the connection was
// cut.
func (f *fixture) do(method, query, body string, headers ...string) *answer {
	f.t.Helper()
	r, err := f.request(method, query, body, headers...)
	if err != nil {
		return nil
	}
	return r
}

func (f *fixture) request(method, query, body string, headers ...string) (*answer, error) {
	req, err := http.NewRequest(method, "http://test"+f.srv.cfg.Path+"?"+query, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &answer{resp.StatusCode, resp.Header, string(b)}, nil
}

func (a *answer) want(t testing.TB, status int, body string) {
	t.Helper()
	if a == nil {
		t.Errorf("connection cut, want %d %q", status, body)
	} else if a.status != status || a.body != body {
		t.Errorf("answer %d %q, want %d %q", a.status, a.body, status, body)
	}
}

// open begins a polling session and returns its sid.
func (f *fixture) open() string {
	f.t.Helper()
	a := f.do("GET", "EIO=4&transport=polling", "")
	if a == nil {
		f.t.Fatal("handshake: connection cut")
	}
	o, ok := packet.FindOpen([]byte(a.body))
	if a.status != 200 || !ok {
		f.t.Fatalf("handshake: %d %.80q", a.status, a.body)
	}
	return o.SID
}

func (f *fixture) poll(sid string) *answer {
	f.t.Helper()
	return f.do("GET", "EIO=4&transport=polling&sid="+sid, "")
}

func (f *fixture) post(sid, body string) *answer {
	f.t.Helper()
	return f.do("POST", "EIO=4&transport=polling&sid="+sid, body)
}

// polling makes a poll that is pending when it returns, and gives its answer. It needs a synctest
// bubble.
func (f *fixture) polling(sid string) <-chan *answer {
	got := make(chan *answer, 1)
	go func() { got <- f.poll(sid) }()
	synctest.Wait()
	return got
}

// wsClient is the client's end of a WebSocket, speaking frames.
type wsClient struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

const wsHeaders = "Host: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// upgrade makes a WebSocket handshake; more is sent behind it at once.
func (f *fixture) upgrade(query, headers string, more ...byte) (*wsClient, *http.Response) {
	f.t.Helper()
	c := &wsClient{t: f.t, Conn: f.dial()}
	f.t.Cleanup(func() { c.Close() })
	c.r = bufio.NewReader(c.Conn)
	head := "GET " + f.srv.cfg.Path + "?" + query + " HTTP/1.1\r\n" + wsHeaders + headers + "\r\n"
	if _, err := c.Write(append([]byte(head), more...)); err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		f.t.Fatalf("handshake: %v", err)
	}
	return c, resp
}

// websocket begins a WebSocket session and reads its open packet.
func (f *fixture) websocket(headers string, more ...byte) *wsClient {
	f.t.Helper()
	c, resp := f.upgrade("EIO=4&transport=websocket", headers, more...)
	if resp.StatusCode != 101 {
		f.t.Fatalf("handshake: status %d", resp.StatusCode)
	}
	op, data := c.next()
	if _, ok := packet.FindOpen(data); op != opText || !ok {
		f.t.Fatalf("first frame: opcode %d, %.80q", op, data)
	}
	return c
}

// frame is a client's frame, masked.
func frame(first byte, payload []byte) []byte {
	key := [4]byte{0x12, 0x34, 0x56, 0x78}
	b := appendFrameHeader(nil, first, len(payload))
	b[0] = first
	b[1] |= maskBit
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

func text(s string) []byte { return frame(finBit|opText, []byte(s)) }

func (c *wsClient) send(s string) {
	c.t.Helper()
	if _, err := c.Write(text(s)); err != nil {
		c.t.Error(err)
	}
}

// next reads a frame. opcode 0xff: the connection ended.
func (c *wsClient) next() (op byte, data []byte) {
	c.t.Helper()
	op, data, err := readFrame(c.r)
	if err != nil {
		return 0xff, nil
	}
	return op, data
}

func readFrame(r io.Reader) (op byte, data []byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return 0, nil, err
	}
	op = h[0]
	n := uint64(h[1])
	switch n {
	case 126:
		_, err = io.ReadFull(r, h[:2])
		n = uint64(binary.BigEndian.Uint16(h[:]))
	case 127:
		_, err = io.ReadFull(r, h[:8])
		n = binary.BigEndian.Uint64(h[:])
	}
	if err != nil {
		return 0, nil, err
	}
	data = make([]byte, n)
	_, err = io.ReadFull(r, data)
	return op &^ finBit, data, err
}

func (c *wsClient) want(want string) {
	c.t.Helper()
	if op, data := c.next(); op != opText || string(data) != want {
		c.t.Errorf("frame: opcode %d, %q; want text %q", op, data, want)
	}
}

// wantClose reads up to the server's close frame, which has that code (0: none), answers it and
// reads the end.
func (c *wsClient) wantClose(code uint16) {
	c.t.Helper()
	for {
		op, data := c.next()
		switch op {
		case opClose:
			var want []byte
			if code != 0 {
				want = binary.BigEndian.AppendUint16(nil, code)
			}
			if !bytes.Equal(data, want) {
				c.t.Errorf("close frame %v, want %v", data, want)
			}
			c.Write(frame(finBit|opClose, data))
			if op, data := c.next(); op != 0xff {
				c.t.Errorf("after the close frame: opcode %d, %q", op, data)
			}
			return
		case 0xff:
			c.t.Errorf("connection ended without a close frame, want code %d", code)
			return
		}
	}
}

func sprint(a ...any) string { return fmt.Sprint(a...) }
