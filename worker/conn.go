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

// conn is a router's connection to this worker, while only polling comes over it. One goroutine
// reads it and serves its requests. While a poll is parked, that goroutine waits for the router to
// close the connection, and another goroutine writes the answer. A waiting connection holds no
// buffer and no request.
type conn struct {
	s    *pollServer
	nc   *handoff.Conn
	fd   int
	addr string // the router's
	peer peer

	// The goroutine that reads owns these.
	in   netio.Stream // of nc
	till time.Time

	mu     sync.Mutex // guards the rest, and every write to fd
	state  connState
	parked *response     // not written completely yet
	rest   chan struct{} // closed when the end of parked is written or failed; nil: no goroutine writes it
}

type connState uint8

const (
	connActive connState = iota
	connIdle             // between requests: it may be closed at any time
	connClosed
)

func (s *pollServer) newConn(nc *handoff.Conn) (*conn, error) {
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

// serve reads requests until the connection ends or goes to net/http.
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

// outcome is how a request ended.
type outcome uint8

const (
	served  outcome = iota
	over            // the connection ends
	foreign         // for net/http
)

// next serves the request whose first bytes have arrived.
func (c *conn) next() outcome {
	x := exchanges.Get().(*exchange)
	defer x.put()
	for seen := 0; ; {
		n, err := x.head.ParseRequest(c.in.Bytes(), seen)
		switch {
		case err == nil:
			return c.exchange(x, n)
		case err != http1.ErrMore:
			return foreign // net/http answers it
		}
		if seen == 0 { // an absolute deadline: more bytes don't move it
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

// exchange serves the request whose head is the first n bytes, if it is a complete one of
// Engine.IO.
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

// await waits for the first bytes of a request. It returns false if none will come.
func (c *conn) await() bool {
	for len(c.in.Bytes()) == 0 {
		c.in.Release()
		if !c.become(connIdle) {
			return false
		}
		// Idle connections end after idleTimeout, and after twice that at the latest: setting the
		// deadline each time would be expensive.
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
	return !c.waits() // before it has the answer, a router says only that its client left
}

// settle waits for the goroutine that writes the end of a parked response, if there is one: the
// router may have received that end before the goroutine noted it. The response's deadline limits
// the wait.
func (c *conn) settle() {
	c.mu.Lock()
	rest := c.rest
	c.mu.Unlock()
	if rest != nil {
		<-rest
	}
}

// waits reports whether a response is parked.
func (c *conn) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parked != nil
}

// become changes the state. It returns false if the connection is closed or must be.
func (c *conn) become(state connState) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == connClosed || state == connIdle && c.parked == nil && c.s.closing.Load() {
		return false
	}
	c.state = state
	return true
}

// cut closes the connection: at once, or if it serves no request.
func (c *conn) cut(now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now || c.state == connIdle && c.parked == nil {
		c.closeLocked()
	}
}

// close ends the connection. It tells the owner of a parked response, who asks the response whether
// the client has left or the router is gone.
func (c *conn) close() {
	c.settle()
	c.mu.Lock()
	res := c.parked
	if res != nil {
		res.left = len(c.in.Bytes()) > 0 // handoff.ClientLeft, or something that no router sends
	}
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

// giveAway passes the connection to net/http, with the bytes that were read.
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
