package socketio

import (
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/wheel"
)

// cork holds messages back while the handlers of a connection run, so that they leave in one write.
// A handler that blocks must not delay them: a goroutine that waits for the client releases the
// cork, so does a broadcast after maxCork, and finally the wheel.
type cork struct {
	client *client
	since  time.Time
	timer  wheel.Timer

	mu   sync.Mutex
	held bool
}

// maxCork is how long a handler may delay the messages of other goroutines.
const maxCork = time.Millisecond

// hold corks the connection for the calling goroutine. It returns nil if another goroutine has done
// so. A brief hold needs no timer, since turn.Overdue ends it.
func (c *client) hold(brief bool) *cork {
	if c.corked.Load() != nil {
		return nil
	}
	k := &cork{client: c, since: time.Now(), held: true}
	if !brief {
		k.timer.Owner = k
	}
	if !c.corked.CompareAndSwap(nil, k) {
		return nil
	}
	c.session.Cork()
	if !brief {
		c.server.wheel.Schedule(&k.timer, maxCork)
	}
	return k
}

// holds reports whether k still holds messages back.
func (k *cork) holds() bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held
}

// release lets the messages leave.
func (k *cork) release() {
	if k == nil {
		return
	}
	k.mu.Lock()
	held := k.held
	k.held = false
	k.mu.Unlock()
	if held {
		k.client.corked.CompareAndSwap(k, nil)
		k.client.session.Uncork()
		if k.timer.Owner != nil {
			k.client.server.wheel.Stop(&k.timer)
		}
	}
}

// Expire releases the cork of a slow handler.
func (k *cork) Expire(*wheel.Timer) { k.release() }

// flush releases the cork, for a goroutine that waits for an answer of the client.
func (c *client) flush() { c.corked.Load().release() }

// overdue releases a cork that is older than maxCork.
func (c *client) overdue() {
	if k := c.corked.Load(); k != nil && time.Since(k.since) > maxCork {
		k.release()
	}
}

// Cork calls f. Everything that anybody sends to the socket meanwhile leaves in one write after it.
func (s *Socket) Cork(f func()) {
	s.client.session.Cork()
	defer s.client.session.Uncork()
	f()
}
