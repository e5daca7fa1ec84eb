package node

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
	"github.com/sidereal-io/sidereal/internal/sessioncount"
)

const (
	gateRead = 4 << 10  // first read of anything
	gateHead = 64 << 10 // the longest head of a request or a response
	// gateHeld limits the bytes that the gate keeps of a client before the server has agreed. RFC
	// 6455 has clients wait, so the gate reads nothing beyond it.
	gateHeld = 16 << 10
	// gateTime is the time a client has to send the head that a router has already seen, and to
	// read a refusal.
	gateTime = 10 * time.Second
	// gateAnswer is how long the server may take to answer the upgrade: as long as at a router that
	// relays.
	gateAnswer = time.Minute
)

// gate stands between a server and a client's connection that a router passed on with its upgrade
// request. The router has read only that one request, so the server must not see another one: the
// gate passes the client's bytes on only after a 101. After any other answer it ends the
// connection. Some servers (Python's, for example) ignore upgrades, keep the connection and would
// take the next bytes for a request, in which the client could claim any address.
type gate struct {
	client, server halfCloser
	path           string                // of Socket.IO
	sessions       *sessioncount.Counter // nil: the server reports its sessions itself
	target         string                // of the upgrade request

	mu    sync.Mutex // guards the rest, and writes to the server
	state gateState
	held  []byte        // bytes that the client sent too early
	over  chan struct{} // closed when the gate no longer waits
}

type gateState uint8

const (
	gateWaits gateState = iota
	gateOpen            // the server has agreed
	gateShut            // the server has refused: the client's bytes are dropped
)

var (
	errNoUpgrade = errors.New("node: a client's connection must begin with an upgrade")
	errTooLong   = errors.New("node: head too large")
)

// guard connects a client to a server through a gate, and counts its session, unless sessions is
// nil. It takes both connections over.
func (h *Host) guard(ctx context.Context, client *handoff.Conn, server halfCloser, sessions *sessioncount.Counter) {
	g := newGate(client, server)
	g.path, g.sessions = h.cfg.Record.Path, sessions
	if !h.start(func() { g.run(ctx) }) {
		g.close()
	}
}

func newGate(client, server halfCloser) *gate {
	return &gate{client: client, server: server, over: make(chan struct{})}
}

func (g *gate) close() {
	g.client.Close()
	g.server.Close()
}

// run returns when both connections or ctx have ended.
func (g *gate) run(ctx context.Context) {
	defer context.AfterFunc(ctx, g.close)()
	defer g.close()
	rest, err := g.request()
	if err != nil {
		return
	}
	g.held = rest
	clientEnded := make(chan struct{})
	go func() {
		defer close(clientEnded)
		g.readClient()
	}()
	if g.answer() {
		defer g.count()()
		_, err = io.Copy(g.client, g.server)
		if err == nil {
			err = g.client.CloseWrite()
		}
		if err != nil {
			g.close()
		}
	} else {
		g.become(gateShut)
		g.server.Close()
		if g.client.CloseWrite() == nil { // closing at once would reset a client that still sends, and lose the answer
			g.client.SetReadDeadline(time.Now().Add(gateTime))
		} else {
			g.client.Close()
		}
	}
	<-clientEnded
}

// request sends the upgrade request to the server. It returns the bytes that followed it.
func (g *gate) request() (rest []byte, err error) {
	g.client.SetReadDeadline(time.Now().Add(gateTime))
	var h http1.Head
	b, n, err := readHead(g.client, nil, h.ParseRequest)
	if err != nil {
		return nil, err
	}
	if !h.Upgrade {
		return nil, errNoUpgrade
	}
	g.client.SetReadDeadline(time.Time{})
	g.target = string(h.Target.Of(b))
	_, err = g.server.Write(b[:n])
	return b[n:], err
}

// count counts the WebSocket's session until its end.
func (g *gate) count() (end func()) {
	sid, ok := sidOf(g.path, g.target)
	if !ok || g.sessions == nil {
		return func() {}
	}
	counted := g.sessions.Connected(sid)
	return func() { g.sessions.Disconnected(counted) }
}

// readHead reads until b has a whole head, and returns where the head ends.
func readHead(r io.Reader, b []byte, parse func(b []byte, seen int) (int, error)) (_ []byte, n int, err error) {
	for seen := 0; ; {
		if len(b) > 0 {
			n, err = parse(b, seen)
			if err == nil || err != http1.ErrMore {
				return b, n, err
			}
		}
		if seen = len(b); seen >= gateHead {
			return b, 0, errTooLong
		}
		if cap(b) == seen {
			b = append(make([]byte, 0, max(gateRead, 2*seen)), b...)
		}
		k, err := r.Read(b[seen:cap(b)])
		if b = b[:seen+k]; k == 0 && err != nil {
			return b, 0, err
		}
	}
}

const badGateway = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// answer sends the server's answer to the client. It returns true if the server has agreed and
// the gate is open.
func (g *gate) answer() bool {
	var h http1.Head
	var b []byte
	g.server.SetReadDeadline(time.Now().Add(gateAnswer))
	defer g.server.SetReadDeadline(time.Time{})
	for {
		var n int
		var err error
		if b, n, err = readHead(g.server, b, h.ParseResponse); err != nil {
			var bad *http1.Refusal
			if errors.As(err, &bad) || err == errTooLong || errors.Is(err, os.ErrDeadlineExceeded) {
				_, _ = io.WriteString(g.client, badGateway) // fails if the client has left
			}
			return false
		}
		switch {
		case h.Status == 101 && h.Upgrade:
			if _, err := g.client.Write(b); err != nil {
				return false
			}
			return g.open() == nil
		case h.Status == 101: // without an upgrade to anything
			_, _ = io.WriteString(g.client, badGateway)
			return false
		case h.Status >= 200:
			g.refuse(&h, b, n)
			return false
		}
		if _, err := g.client.Write(b[:n]); err != nil { // an interim answer
			return false
		}
		b = b[:copy(b, b[n:])]
	}
}

// refuse sends the client a final answer, whose head is the first n bytes of b, and its body. The
// request was a GET.
func (g *gate) refuse(h *http1.Head, b []byte, n int) {
	line := 0
	for b[line] != '\n' {
		line++
	}
	out := append(make([]byte, 0, n+32), b[:line+1]...)
	for i := range h.Fields() {
		if f := &h.Fields()[i]; f.ID != http1.FieldConnection && f.ID != http1.FieldHop && f.ID != http1.FieldUpgrade {
			out = append(append(append(out, f.Name.Of(b)...), ": "...), f.Value.Of(b)...)
			out = append(out, "\r\n"...)
		}
	}
	out = append(out, "Connection: close\r\n\r\n"...)
	body := answerBody{rest: h.Length, chunked: h.Chunked}
	if h.Status == 204 || h.Status == 304 {
		body = answerBody{}
	}
	if _, err := g.client.Write(out); err != nil {
		return
	}
	for b, buf := b[n:], make([]byte, 8*gateRead); ; {
		k, err := body.take(b)
		if err != nil {
			return
		}
		if k > 0 {
			if _, err := g.client.Write(b[:k]); err != nil {
				return
			}
		}
		if body.done() {
			return
		}
		if k, err = g.server.Read(buf); k == 0 && err != nil {
			return
		}
		b = buf[:k]
	}
}

// answerBody finds the end of a response's body.
type answerBody struct {
	rest    int64 // -1: until the connection ends
	chunked bool
	chunks  http1.Chunks
}

func (a *answerBody) done() bool { return a.rest == 0 && !a.chunked }

// take returns how many bytes of b belong to the body.
func (a *answerBody) take(b []byte) (int, error) {
	switch {
	case a.chunked:
		k, done, err := a.chunks.Feed(b)
		if done {
			a.rest, a.chunked = 0, false
		}
		return k, err
	case a.rest < 0:
		return len(b), nil
	}
	k := int(min(a.rest, int64(len(b))))
	a.rest -= int64(k)
	return k, nil
}

// readClient reads from the client until its end.
func (g *gate) readClient() {
	b := make([]byte, gateRead)
	for {
		n, err := g.client.Read(b)
		state, full := g.fromClient(b[:n], err != nil)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				g.close()
			}
			return
		}
		if state == gateWaits && full {
			<-g.over
			state = g.now()
		}
		if state == gateOpen {
			break
		}
	}
	_, err := io.Copy(g.server, g.client)
	if err == nil {
		err = g.server.CloseWrite()
	}
	if err != nil {
		g.close()
	}
}

// fromClient passes the client's bytes on if the gate is open, and keeps them if it may still
// open.
func (g *gate) fromClient(b []byte, last bool) (state gateState, full bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch g.state {
	case gateOpen:
		if _, err := g.server.Write(b); err != nil {
			g.close()
		}
	case gateWaits:
		if g.held = append(g.held, b...); last {
			g.held = nil // a client that has left needs no WebSocket
		}
	}
	if last {
		_ = g.server.CloseWrite() // fails if it is already closed
	}
	return g.state, len(g.held) >= gateHeld
}

// open opens the gate and sends the bytes that the client sent before.
func (g *gate) open() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, err := g.server.Write(g.held)
	g.becomeLocked(gateOpen)
	return err
}

func (g *gate) become(s gateState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.becomeLocked(s)
}

func (g *gate) becomeLocked(s gateState) {
	if g.state == gateWaits {
		close(g.over)
	}
	g.state, g.held = s, nil
}

func (g *gate) now() gateState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}
