package redisserver

import (
	"net"
	"sync"
	"time"
)

const (
	outboxLimit  = 32 << 20  // bytes not yet taken: Redis's client-output-buffer-limit for pubsub, the hard one
	outboxWrite  = 256 << 10 // bytes of one write, after which they count as taken
	outboxKeep   = 64 << 10  // capacity kept for the next burst
	outboxFinish = time.Second
)

// outbox is what waits to be written to a subscriber, so that nobody who publishes ever waits for
// one. A writer lives while something waits: what comes meanwhile leaves in one write.
type outbox struct {
	conn    net.Conn
	writers *sync.WaitGroup

	mu       sync.Mutex // guards the rest
	waiting  []byte
	untaken  int // len(waiting) and what the writer holds
	writing  bool
	closed   bool // nothing is taken any more
	finished bool // hang up once all is written
}

// push appends a copy of b. It never blocks. A reader too slow for outboxLimit is cut off, as Redis
// does it.
func (o *outbox) push(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.finished {
		return
	}
	if o.untaken += len(b); o.untaken > outboxLimit {
		o.closeLocked()
		return
	}
	o.waiting = append(o.waiting, b...)
	if !o.writing {
		o.writing = true
		o.writers.Go(o.write)
	}
}

// write writes until nothing waits.
func (o *outbox) write() {
	var spare []byte
	for {
		o.mu.Lock()
		b := o.waiting
		if o.closed || len(b) == 0 {
			o.writing = false
			if o.finished {
				o.closeLocked()
			}
			o.mu.Unlock()
			return
		}
		o.waiting = spare[:0]
		o.mu.Unlock()
		for rest := b; len(rest) > 0; {
			n, err := o.conn.Write(rest[:min(len(rest), outboxWrite)])
			rest = rest[n:]
			o.mu.Lock()
			o.untaken -= n
			if err != nil {
				o.closeLocked()
			}
			closed := o.closed
			o.mu.Unlock()
			if closed {
				break
			}
		}
		if spare = nil; cap(b) <= outboxKeep {
			spare = b
		}
	}
}

// finish hangs up when all is written, but within outboxFinish.
func (o *outbox) finish() {
	_ = o.conn.SetWriteDeadline(time.Now().Add(outboxFinish))
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished = true; !o.writing {
		o.closeLocked()
	}
}

// closeLocked hangs up, which also ends a write that is under way.
func (o *outbox) closeLocked() {
	if !o.closed {
		o.closed, o.waiting = true, nil
		o.conn.Close()
	}
}
