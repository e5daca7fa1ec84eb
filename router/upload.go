package router

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/http1"
)

// upload sends what is left of a request's body while the answer is waited for, and while it is passed on: an app may
// answer before it has read everything, or as it reads. It has a goroutine, which alone uses the client's side of the
// exchange's body and writes to the worker, until end.
type upload struct {
	x    *exchange
	u    *upstream
	done chan struct{}

	taken atomic.Bool // everything has come from the client

	mu      sync.Mutex // guards stopped, and that no deadline is set after it
	stopped bool

	err error // why it ended; nil: the worker has everything. Set before done is closed
}

// errLeft reports a client that is gone before the end of its body.
var errLeft = errors.New("router: client left within its request's body")

// startUpload sends the body on to u. Exchange and both streams are still the caller's for the answer's direction.
func (x *exchange) startUpload(u *upstream) {
	x.streamed = true
	x.c.expect(x.rest)
	if x.more {
		x.c.expect(-1)
	}
	p := &upload{x: x, u: u, done: make(chan struct{})}
	x.sending = p
	go func() {
		defer close(p.done)
		if p.err = p.run(); p.clientsFault() {
			u.c.SetReadDeadline(past) // there is nobody to be answered, or that is not the answer
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
		if len(c.bytes()) == 0 {
			c.release()
			if !p.arm(func() { c.c.SetReadDeadline(time.Now().Add(c.r.cfg.BodyTimeout)) }) {
				return net.ErrClosed
			}
			switch err := c.fill(); {
			case err == nil:
			case p.isStopped():
				return net.ErrClosed
			case isTimeout(err):
				return errSlow
			default:
				return errLeft
			}
		}
		k, err := x.nextOfBody(c.bytes())
		if err != nil {
			return err
		}
		if more = x.rest > 0 || x.more; !more {
			p.taken.Store(true)
		}
		if !p.arm(func() { p.u.c.SetWriteDeadline(time.Now().Add(writeTimeout)) }) {
			return net.ErrClosed
		}
		_, err = p.u.c.Write(c.bytes()[:k])
		c.discard(k) // what the worker does not take must not be read as a request
		if err != nil {
			return err
		}
	}
	return nil
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
	p.u.c.SetWriteDeadline(past)
	if !p.taken.Load() {
		p.x.c.c.SetReadDeadline(past)
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
		p.u.c.SetWriteDeadline(time.Time{})
	}
	p.u.till = time.Time{} // the next write sets its own
	x.sending = nil
	x.c.expect(0)
	if p.taken.Load() {
		x.c.release()
	} else {
		x.close, x.unread = true, true
	}
	if p.clientsFault() {
		err = p.err
	}
	return p.err == nil, err
}
