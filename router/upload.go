package router

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// upload sends the rest of a request's body while the router waits for the answer and passes it on:
// an app may answer before it has read everything, or as it reads. Until done is closed, only its
// goroutine reads from the client, follows the body, and writes to the worker.
type upload struct {
	c    *conn
	body *message
	u    *workerConn
	done chan struct{}

	taken     atomic.Bool  // everything has come from the client
	answering atomic.Bool  // the worker has begun to answer
	waits     atomic.Int64 // Unix nanoseconds since when the client sends nothing; 0: it is not waited for

	waited time.Duration // for the client, by run
	came   int64         // of the client, by run

	mu      sync.Mutex // guards the rest, and that no deadline is set after it
	stopped bool
	hurried bool // it has taken too long

	err error // why it ended; nil: the worker has everything. Set before done is closed
}

// errLeft reports a client that is gone before the end of its body.
var errLeft = errors.New("router: client left within its request's body")

// startUpload sends the rest of the message's body to u.
func startUpload(c *conn, body *message, u *workerConn) *upload {
	body.streamed = true
	c.Expect(body.rest)
	if body.more {
		c.Expect(-1)
	}
	p := &upload{c: c, body: body, u: u, done: make(chan struct{})}
	budget := &c.r.budget
	budget.add(p)
	go func() {
		defer close(p.done)
		defer budget.remove(p)
		p.err = p.run()
		p.mu.Lock()
		p.stopped = true // nobody hurries it any more
		p.mu.Unlock()
		if p.clientsFault() {
			u.Conn.SetReadDeadline(past) // the worker's answer is of no use
		}
	}()
	return p
}

// clientsFault reports whether the client ended the upload, by leaving or by breaking a rule. A
// worker's fault shows in its answer.
func (p *upload) clientsFault() bool {
	var f *http1.Refusal
	return errors.Is(p.err, errLeft) || errors.As(p.err, &f)
}

func (p *upload) run() error {
	c := p.c
	for more := true; more; {
		if len(c.Bytes()) == 0 {
			c.Release()
			if err := p.await(); err != nil {
				return err
			}
		}
		k, f := p.body.next(c.Bytes())
		if f != nil {
			return f
		}
		if more = p.body.unsent(); !more {
			p.taken.Store(true)
		}
		if !p.arm(func() { p.u.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)) }) {
			return net.ErrClosed
		}
		_, err := p.u.Conn.Write(c.Bytes()[:k])
		c.Discard(k) // what the worker does not take must not be read as a request
		if err != nil {
			return err
		}
	}
	return nil
}

// await waits for the next bytes of the body.
func (p *upload) await() error {
	c := p.c
	for {
		now := time.Now()
		until := p.until(now)
		if !p.arm(func() {
			if p.hurried {
				until = past
			}
			c.Conn.SetReadDeadline(until)
		}) {
			return net.ErrClosed
		}
		p.waits.Store(now.UnixNano())
		err := c.Fill()
		p.waits.Store(0)
		p.waited += time.Since(now)
		switch {
		case err == nil:
			p.came += int64(len(c.Bytes()))
			return nil
		case p.isStopped():
			return net.ErrClosed
		case isTimeout(err) && !p.isHurried() && p.until(now).After(until):
			continue // the answer began meanwhile
		case isTimeout(err):
			return errSlow
		default:
			return errLeft
		}
	}
}

// until is how long to wait for the client from now on. Until the worker answers, the client has
// BodyTimeout for all that it lets the router wait, and a second more for each MinBodyRate bytes:
// else a byte a minute would hold a connection for good.
func (p *upload) until(now time.Time) time.Time {
	cfg := &p.c.r.cfg
	wait := cfg.BodyTimeout
	if cfg.MinBodyRate > 0 && !p.answering.Load() {
		bought := time.Duration(min(float64(p.came)/float64(cfg.MinBodyRate), 1e9) * float64(time.Second))
		wait = min(wait, cfg.BodyTimeout+bought-p.waited)
	}
	return now.Add(wait)
}

// hurry ends the upload and tells the client that it took too long. It returns false if the upload
// ends already.
func (p *upload) hurry() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.hurried || p.taken.Load() {
		return false
	}
	p.hurried = true
	p.c.Conn.SetReadDeadline(past)
	return true
}

func (p *upload) isHurried() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hurried
}

// arm sets a deadline, unless the upload is to end.
func (p *upload) arm(set func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopped {
		set()
	}
	return !p.stopped
}

func (p *upload) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
}

// stop breaks off whatever the upload waits for.
func (p *upload) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.u.Conn.SetWriteDeadline(past)
	if !p.taken.Load() {
		p.c.Conn.SetReadDeadline(past)
	}
}
