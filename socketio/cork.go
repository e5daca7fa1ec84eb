package socketio

import (
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/wheel"
)

// cork holds back what is sent to a connection while its handlers run, so that it leaves in one
// write. A handler that blocks must not keep others from being heard: whoever waits for the client
// lets go, so does a broadcast that comes after maxCork, and after that, at the latest, the wheel.
type cork struct {
	client *client
	since  time.Time
	timer  wheel.Timer

	mu   sync.Mutex
	held bool
}

// maxCork is how long what others send waits for a handler.
const maxCork = time.Millisecond

// hold corks the connection for the calling goroutine, unless another has done so: then it returns
// nil. Of a brief hold Late tells, where another needs the wheel.
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

// holds reports whether k is still in force.
func (k *cork) holds() bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held
}

// letGo lets leave what was sent.
func (k *cork) letGo() {
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

// Expire lets go: the handler takes its time.
func (k *cork) Expire(*wheel.Timer) { k.letGo() }

// flush lets leave what was sent, for one who waits for the client to answer.
func (c *client) flush() { c.corked.Load().letGo() }

// overdue lets go of a cork that has been held for long.
func (c *client) overdue() {
	if k := c.corked.Load(); k != nil && time.Since(k.since) > maxCork {
		k.letGo()
	}
}

// Cork calls f. Everything that anybody sends to the socket meanwhile leaves in one write after it.
func (s *Socket) Cork(f func()) {
	s.client.session.Cork()
	defer s.client.session.Uncork()
	f()
}
