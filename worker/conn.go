package worker

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// mostRead bounds a request that is served here, head and body.
const mostRead = 64 << 10

// conn is a connection that a router keeps to this worker, for as long as nothing but polling comes over it. One goroutine
// reads it and serves its requests. While a poll waits for an answer that goroutine waits for the router to give it up: the
// answer is written by whoever has it. A connection that waits holds neither a buffer nor anything of a request.
type conn struct {
	s    *lean
	nc   *handoff.Conn
	fd   int
	addr string // the router's
	peer peer

	// The goroutine that reads owns these.
	in   netio.Stream // of nc
	till time.Time

	mu     sync.Mutex // guards the rest, and every write to fd
	state  connState
	parked *response     // not yet written to its end
	rest   chan struct{} // closed once the end of parked is written, or can't be; nil: nobody is writing it
}

type connState uint8

const (
	connActive connState = iota
	connIdle             // between requests: may be closed at any time
	connClosed
)

func (s *lean) newConn(nc *handoff.Conn) (*conn, error) {
	c := &conn{s: s, nc: nc, addr: nc.RemoteAddr().String(), peer: peer{kind: nc.Kind(), router: true}}
	c.in.Init(nc, 0) // responses are written past it
	raw := c.in.SyscallConn()
	if raw == nil {
		return nil, errors.ErrUnsupported
	}
	if err := raw.Control(func(fd uintptr) { c.fd = int(fd) }); err != nil {
		return nil, err
	}
	if n := nc.Buffered(); n > 0 { // came with the connection
		head := bufpool.Get(n)[:n]
		_, _ = io.ReadFull(nc, head) // reads no more than was buffered
		c.in.Preload(head)
	}
	return c, nil
}

// serve reads requests until the connection ends or is somebody else's.
func (c *conn) serve() {
	for c.await() {
		switch c.next() {
		case served:
		case foreign:
			c.giveAway()
			return
		case over:
			c.close()
			return
		}
	}
	c.close()
}

// outcome is what became of a request.
type outcome uint8

const (
	served  outcome = iota
	over            // the connection ends
	foreign         // not for us
)

// next serves the request whose first bytes are there.
func (c *conn) next() outcome {
	x := exchanges.Get().(*exchange)
	defer x.put()
	for seen := 0; ; {
		n, err := x.head.ParseRequest(c.in.Bytes(), seen)
		switch {
		case err == nil:
			return c.exchange(x, n)
		case err != http1.ErrMore:
			return foreign // net/http has the words for it
		}
		if seen == 0 { // an absolute deadline: a byte now and then does not move it
			c.until(time.Now().Add(headTimeout))
		}
		if seen = len(c.in.Bytes()); seen >= mostRead {
			return foreign
		}
		if c.in.Fill() != nil {
			return over
		}
	}
}

// exchange serves the request whose head is the first n bytes, if it is one of Engine.IO's and whole.
func (c *conn) exchange(x *exchange, n int) outcome {
	if !c.s.takes(&x.head, c.in.Bytes()) {
		return foreign
	}
	length := max(int(x.head.Length), 0)
	for len(c.in.Bytes()) < n+length {
		if n+length > mostRead || !c.in.FillNow(mostRead/4) {
			return foreign
		}
	}
	b := c.in.Bytes()
	keep := c.s.handle(c, x, b[:n], b[n:n+length])
	c.in.Discard(n + length)
	if !keep {
		return over
	}
	return served
}

// await waits for the first bytes of a request. False: none will come.
func (c *conn) await() bool {
	for len(c.in.Bytes()) == 0 {
		c.in.Release()
		if !c.become(connIdle) {
			return false
		}
		// Idle connections end after idleTimeout, at twice that at the latest: to set the deadline each time would be dear.
		if now := time.Now(); c.till.Sub(now) < idleTimeout {
			c.until(now.Add(2 * idleTimeout))
		}
		err := c.in.Fill()
		if errors.Is(err, os.ErrDeadlineExceeded) && c.waits() {
			continue
		}
		if err != nil || !c.become(connActive) {
			return false
		}
	}
	c.settle()
	return !c.waits() // a router sends nothing before it has the answer
}

// settle waits for the goroutine that writes the end of a parked response, if there is one. The
// router may have that end, and act on it, before the goroutine has said so. The response's
// deadline bounds the wait.
func (c *conn) settle() {
	c.mu.Lock()
	rest := c.rest
	c.mu.Unlock()
	if rest != nil {
		<-rest
	}
}

// waits tells whether a response is still to be written.
func (c *conn) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parked != nil
}

// become notes whether a request is under way. False: the connection is closed, or is to be.
func (c *conn) become(state connState) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == connClosed || state == connIdle && c.parked == nil && c.s.closing.Load() {
		return false
	}
	c.state = state
	return true
}

// cut closes the connection: at once, or if nothing is under way on it.
func (c *conn) cut(now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now || c.state == connIdle && c.parked == nil {
		c.closeLocked()
	}
}

// close ends the connection, and tells whoever has a response to write that nobody will have it.
func (c *conn) close() {
	c.settle()
	c.mu.Lock()
	res := c.parked
	c.parked = nil
	c.closeLocked()
	c.mu.Unlock()
	c.in.Drop()
	c.s.forget(c)
	if res != nil {
		res.gone()
	}
}

func (c *conn) closeLocked() {
	if c.state != connClosed {
		c.state = connClosed
		c.nc.Close()
	}
}

// giveAway makes the connection net/http's, with what has been read of it.
func (c *conn) giveAway() {
	c.nc.Unread(append([]byte(nil), c.in.Bytes()...))
	c.in.Drop()
	c.until(time.Time{})
	c.s.forget(c)
	c.s.give(c.nc)
}

func (c *conn) until(t time.Time) {
	c.till = t
	c.nc.SetReadDeadline(t)
}
