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
)

const (
	gateRead = 4 << 10  // first read of anything
	gateHead = 64 << 10 // the longest head of a request or a response
	// gateHeld is how much of a client's is kept before the server has agreed. RFC 6455 has clients
	// wait: beyond it nothing is read.
	gateHeld = 16 << 10
	// gateTime is how long a client may take to send the head that a router has seen already, and
	// to read a refusal.
	gateTime = 10 * time.Second
	// gateAnswer is how long the server may take to answer the upgrade: as long as at a router that
	// relays.
	gateAnswer = time.Minute
)

// gate stands between a client's connection, which a router gave away with its upgrade, and a
// server. The router has read nothing but that one request, so the server must not see another one:
// the client's bytes go on only after a 101. Any other answer is the last thing that happens on the
// connection. A server need not know that: Python's ignores upgrades and keeps the connection, and
// so may take what follows for a request, with a client's own words of where it comes from.
type gate struct {
	client, server halfCloser

	mu    sync.Mutex // guards the rest, and writes to the server
	state gateState
	held  []byte        // what the client said too early
	over  chan struct{} // closed when nothing waits any more
}

type gateState uint8

const (
	gateWaits gateState = iota
	gateOpen            // the server has agreed
	gateShut            // it has not: the client says nothing more
)

var (
	errNoUpgrade = errors.New("node: a client's connection must begin with an upgrade")
	errTooLong   = errors.New("node: head too large")
)

// guard carries a client's connection to a server. It takes both over.
func (h *Host) guard(ctx context.Context, client *handoff.Conn, server halfCloser) {
	g := newGate(client, server)
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

// run ends with both connections, or with ctx.
func (g *gate) run(ctx context.Context) {
	defer context.AfterFunc(ctx, g.close)()
	defer g.close()
	rest, err := g.request()
	if err != nil {
		return
	}
	g.held = rest
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		g.hear()
	}()
	if g.answer() {
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
		if g.client.CloseWrite() == nil { // a client that still sends would be reset, and lose the answer
			g.client.SetReadDeadline(time.Now().Add(gateTime))
		} else {
			g.client.Close()
		}
	}
	<-heard
}

// request sends the one request to the server, and returns what was read behind it.
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
	_, err = g.server.Write(b[:n])
	return b[n:], err
}

// readHead reads until parse finds a whole head in b, and tells where that ends.
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

// answer sends the server's answer to the client. True: it has agreed, and the gate is open.
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
				_, _ = io.WriteString(g.client, badGateway) // it may have left
			}
			return false
		}
		switch {
		case h.Status == 101 && h.Upgrade:
			if _, err := g.client.Write(b); err != nil {
				return false
			}
			return g.open() == nil
		case h.Status == 101: // to what nobody asked for
			_, _ = io.WriteString(g.client, badGateway)
			return false
		case h.Status >= 200:
			g.refuse(&h, b, n)
			return false
		}
		if _, err := g.client.Write(b[:n]); err != nil { // an interim one
			return false
		}
		b = b[:copy(b, b[n:])]
	}
}

// refuse sends a final answer, whose head is the first n bytes of b, to its end. The request was a
// GET.
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

// answerBody follows the body of a response.
type answerBody struct {
	rest    int64 // -1: until the connection ends
	chunked bool
	chunks  http1.Chunks
}

func (a *answerBody) done() bool { return a.rest == 0 && !a.chunked }

// take tells how many bytes of b belong to it.
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

// hear takes what the client says, until its end.
func (g *gate) hear() {
	b := make([]byte, gateRead)
	for {
		n, err := g.client.Read(b)
		state, full := g.heard(b[:n], err != nil)
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

// heard sends on what the client said, if the gate is open, or keeps it, if it may still be opened.
func (g *gate) heard(b []byte, last bool) (state gateState, full bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch g.state {
	case gateOpen:
		if _, err := g.server.Write(b); err != nil {
			g.close()
		}
	case gateWaits:
		if g.held = append(g.held, b...); last {
			g.held = nil // whoever has left needs no WebSocket
		}
	}
	if last {
		_ = g.server.CloseWrite() // fails where it is closed
	}
	return g.state, len(g.held) >= gateHeld
}

// open lets the client speak, and sends what it said before.
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
