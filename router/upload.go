package router

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// upload sends what is left of a request's body while the answer is waited for, and while it is passed on: an app may
// answer before it has read everything, or as it reads. It has a goroutine, which alone uses the client's side of the
// exchange's body and writes to the worker, until end.
type upload struct {
	x    *exchange
	u    *upstream
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

// startUpload sends the body on to u. Exchange and both streams are still the caller's for the answer's direction.
func (x *exchange) startUpload(u *upstream) {
	x.streamed = true
	x.c.Expect(x.rest)
	if x.more {
		x.c.Expect(-1)
	}
	p := &upload{x: x, u: u, done: make(chan struct{})}
	x.sending = p
	room := &x.c.r.room
	room.add(p)
	go func() {
		defer close(p.done)
		defer room.remove(p)
		p.err = p.run()
		p.mu.Lock()
		p.stopped = true // nobody hurries it any more
		p.mu.Unlock()
		if p.clientsFault() {
			u.Conn.SetReadDeadline(past) // there is nobody to be answered, or that is not the answer
		}
	}()
}

// clientsFault tells whether the client ended the upload, by leaving or by breaking a rule. What is wrong with the worker
// shows in its answer.
func (p *upload) clientsFault() bool {
	var f *http1.Refusal
	return errors.Is(p.err, errLeft) || errors.As(p.err, &f)
}

func (p *upload) run() error {
	x, c := p.x, p.x.c
	for more := true; more; {
		if len(c.Bytes()) == 0 {
			c.Release()
			if err := p.await(); err != nil {
				return err
			}
		}
		k, err := x.nextOfBody(c.Bytes())
		if err != nil {
			return err
		}
		if more = x.rest > 0 || x.more; !more {
			p.taken.Store(true)
		}
		if !p.arm(func() { p.u.Conn.SetWriteDeadline(time.Now().Add(writeTimeout)) }) {
			return net.ErrClosed
		}
		_, err = p.u.Conn.Write(c.Bytes()[:k])
		c.Discard(k) // what the worker does not take must not be read as a request
		if err != nil {
			return err
		}
	}
	return nil
}

// await waits for the next bytes of the body.
func (p *upload) await() error {
	c := p.x.c
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
	cfg := &p.x.c.r.cfg
	wait := cfg.BodyTimeout
	if cfg.MinBodyRate > 0 && !p.answering.Load() {
		bought := time.Duration(min(float64(p.came)/float64(cfg.MinBodyRate), 1e9) * float64(time.Second))
		wait = min(wait, cfg.BodyTimeout+bought-p.waited)
	}
	return now.Add(wait)
}

// hurry ends the upload, whose client is told that it took too long. False: it ends already.
func (p *upload) hurry() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped || p.hurried || p.taken.Load() {
		return false
	}
	p.hurried = true
	p.x.c.Conn.SetReadDeadline(past)
	return true
}

func (p *upload) isHurried() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hurried
}

// nextOfBody tells how much of b belongs to the body, and notes what is left.
func (x *exchange) nextOfBody(b []byte) (k int, err error) {
	if !x.more {
		k = int(min(int64(len(b)), x.rest))
		x.rest -= int64(k)
		return k, nil
	}
	k, done, err := x.chunks.Feed(b)
	if err != nil {
		return 0, http1.ErrChunk
	}
	x.more = !done
	if x.tooMuch(k) {
		return 0, errBody
	}
	return k, nil
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
		p.x.c.Conn.SetReadDeadline(past)
	}
}

// endUpload ends the upload, if there is one: nobody needs what has not been sent by now. Whole: the worker has all of the
// body. If not, nothing more can be read from the client than the end of its connection.
func (x *exchange) endUpload() (whole bool, err error) {
	p := x.sending
	if p == nil {
		return true, nil
	}
	select {
	case <-p.done:
	default:
		p.stop()
		<-p.done
	}
	p.u.ClearWriteDeadline()
	x.sending = nil
	x.c.Expect(0)
	if p.taken.Load() {
		x.c.Release()
	} else {
		x.close, x.unread = true, true
	}
	if p.clientsFault() {
		err = p.err
	}
	return p.err == nil, err
}
