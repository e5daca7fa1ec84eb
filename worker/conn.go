package worker

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

const (
	firstRead = 4 << 10
	// mostRead bounds a request that is served here, head and body.
	mostRead = 64 << 10
)

// conn is a connection that a router keeps to this worker, for as long as nothing but polling comes over it. One goroutine
// reads it and serves its requests. While a poll waits for an answer that goroutine waits for the router to give it up: the
// answer is written by whoever has it. A connection that waits holds neither a buffer nor anything of a request.
type conn struct {
	s    *lean
	nc   *handoff.Conn
	raw  syscall.RawConn
	fd   int
	addr string // the router's
	peer peer

	// of the goroutine that reads
	buf  []byte // borrowed; nil while there is nothing in it
	r, w int    // buf[r:w] is read and not yet served
	till time.Time
	err  error
	read func(fd uintptr) bool // onReadable, made once

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
	raw, err := nc.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{s: s, nc: nc, raw: raw, addr: nc.RemoteAddr().String(), peer: peer{kind: nc.Kind(), router: true}}
	c.read = c.onReadable
	err = raw.Control(func(fd uintptr) { c.fd = int(fd) })
	return c, err
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
		n, err := x.head.ParseRequest(c.bytes(), seen)
		switch {
		case err == nil:
			return c.exchange(x, n)
		case err != http1.ErrMore:
			return foreign // net/http has the words for it
		}
		if seen == 0 { // an absolute deadline: a byte now and then does not move it
			c.until(time.Now().Add(headTimeout))
		}
		if seen = len(c.bytes()); seen >= mostRead {
			return foreign
		}
		if c.fill() != nil {
			return over
		}
	}
}

// exchange serves the request whose head is the first n bytes, if it is one of Engine.IO's and whole.
func (c *conn) exchange(x *exchange, n int) outcome {
	if !c.s.takes(&x.head, c.bytes()) {
		return foreign
	}
	length := max(int(x.head.Length), 0)
	for len(c.bytes()) < n+length {
		if n+length > mostRead || !c.more() {
			return foreign
		}
	}
	b := c.bytes()
	keep := c.s.handle(c, x, b[:n], b[n:n+length])
	c.r += n + length
	if !keep {
		return over
	}
	return served
}

func (c *conn) bytes() []byte { return c.buf[c.r:c.w] }

// await waits for the first bytes of a request. False: none will come.
func (c *conn) await() bool {
	for len(c.bytes()) == 0 {
		c.release()
		if !c.become(connIdle) {
			return false
		}
		// Idle connections end after idleTimeout, at twice that at the latest: to set the deadline each time would be dear.
		if now := time.Now(); c.till.Sub(now) < idleTimeout {
			c.until(now.Add(2 * idleTimeout))
		}
		err := c.fill()
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
	c.r = c.w
	c.release()
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
	c.nc.Unread(append([]byte(nil), c.bytes()...))
	c.r = c.w
	c.release()
	c.until(time.Time{})
	c.s.forget(c)
	c.s.give(c.nc)
}

func (c *conn) until(t time.Time) {
	c.till = t
	c.nc.SetReadDeadline(t)
}

// fill reads at least one byte more, behind those that are there.
func (c *conn) fill() error {
	if c.nc.Buffered() > 0 { // came with the connection
		c.makeRoom(c.nc.Buffered())
		n, err := c.nc.Read(c.buf[c.w:])
		c.w += n
		return err
	}
	c.err = nil
	if err := c.raw.Read(c.read); err != nil {
		return err
	}
	return c.err
}

// more reads what is there already. False: nothing is.
func (c *conn) more() bool {
	c.makeRoom(mostRead / 4)
	n := 0
	c.raw.Control(func(fd uintptr) { n, _ = netio.Read(int(fd), c.buf[c.w:]) })
	c.w += n
	return n > 0
}

// onReadable is called by the runtime's poller; false waits for more.
func (c *conn) onReadable(fd uintptr) bool {
	c.makeRoom(1)
	n, err := netio.Read(int(fd), c.buf[c.w:])
	c.w += n
	if err == syscall.EAGAIN {
		c.release()
		return false
	}
	if c.err = err; err != nil && err != io.EOF {
		c.err = &net.OpError{Op: "read", Net: "unix", Err: err}
	}
	return true
}

// makeRoom makes sure that n bytes can be read.
func (c *conn) makeRoom(n int) {
	if c.buf == nil {
		c.buf = bufpool.Get(max(n, firstRead))
		c.buf = c.buf[:cap(c.buf)]
	}
	if len(c.buf)-c.w < n {
		b := bufpool.Get(c.w - c.r + n)
		b = b[:cap(b)]
		c.w = copy(b, c.bytes())
		bufpool.Put(c.buf)
		c.buf, c.r = b, 0
	}
}

// release gives an empty buffer back.
func (c *conn) release() {
	if c.buf != nil && c.r == c.w {
		bufpool.Put(c.buf)
		c.buf, c.r, c.w = nil, 0, 0
	}
}
