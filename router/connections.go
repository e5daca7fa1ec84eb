package router

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// connections are the connections of clients that a router holds, each from its beginning to its
// end. Those that were passed to workers are not among them. The budget of descriptors and a drain
// ask here who can leave.
type connections struct {
	cfg     *Config
	metrics *metrics

	serving sync.WaitGroup // each of them
	extra   atomic.Int64   // requests of HTTP/2 connections beyond the first of each

	mu      sync.Mutex // guards the rest
	ended   bool       // nobody new is served
	proxied map[*conn]struct{}
	relayed map[*relayedSocket]struct{}
	silent  newcomers // have sent nothing
	begun   newcomers // have sent something
}

func newConnections(cfg *Config, m *metrics) *connections {
	return &connections{cfg: cfg, metrics: m, proxied: make(map[*conn]struct{}), relayed: make(map[*relayedSocket]struct{})}
}

// member is a connection's place among the router's connections. Only the connection's goroutine
// reads counted; mu of the list's owner guards the rest.
type member struct {
	counted  bool        // a multiplexer's requests aren't
	newcomer atomic.Bool // no whole request came yet

	queue         *newcomers // that it is in
	before, after *conn      // its neighbours there
}

// count is how many there are.
func (cs *connections) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.proxied) + len(cs.relayed)
}

// letIn counts a connection that was accepted just now. A newcomer may have to give way for it.
func (cs *connections) letIn(c *conn) limit {
	cs.mu.Lock()
	var leaves *conn
	full := cs.cfg.MaxConnections > 0 && cs.heldLocked() >= cs.cfg.MaxConnections
	if full || cs.silent.n+cs.begun.n >= cs.cfg.MaxSilent {
		leaves = cs.oldestLocked()
	}
	if full && leaves == nil {
		cs.mu.Unlock()
		return byConnections
	}
	c.member.newcomer.Store(true)
	cs.silent.push(c)
	cs.addLocked(c)
	cs.mu.Unlock()
	leaves.giveWay()
	return unlimited
}

// join counts a connection that isn't a newcomer, because somebody else has read its request. It
// returns false if nobody is served.
func (cs *connections) join(c *conn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.ended {
		return false
	}
	cs.addLocked(c)
	return true
}

// addLocked counts c until forget or replace. Whoever serves it calls serving.Done.
func (cs *connections) addLocked(c *conn) {
	cs.proxied[c] = struct{}{}
	c.member.counted = true
	cs.serving.Add(1)
	cs.metrics.proxied.Inc()
	cs.metrics.accepted.Inc()
}

// forget ends the accounting of a connection.
func (cs *connections) forget(c *conn) {
	if !c.member.counted {
		return
	}
	c.member.counted = false
	cs.metrics.proxied.Dec()
	cs.mu.Lock()
	delete(cs.proxied, c)
	if c.member.queue != nil {
		c.member.queue.remove(c)
	}
	cs.mu.Unlock()
}

// replace has p in c's place. It reports whether the router cuts what it still has.
func (cs *connections) replace(c *conn, p *relayedSocket) (cut bool) {
	c.member.counted = false
	cs.metrics.proxied.Dec()
	cs.serving.Add(1)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.proxied, c)
	cs.relayed[p] = struct{}{}
	return cs.ended
}

// forgetRelay ends the accounting of a relay.
func (cs *connections) forgetRelay(p *relayedSocket) {
	cs.mu.Lock()
	delete(cs.relayed, p)
	cs.mu.Unlock()
	cs.serving.Done()
}

// begins notes that something came of c's first request.
func (cs *connections) begins(c *conn) {
	if !c.member.newcomer.Load() {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.member.queue == &cs.silent {
		c.member.queue.remove(c)
		cs.begun.push(c)
	}
}

// heard notes that a whole request of c came.
func (cs *connections) heard(c *conn) {
	if !c.member.newcomer.Load() || !c.member.newcomer.CompareAndSwap(true, false) {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.member.queue != nil {
		c.member.queue.remove(c)
	}
}

// heldLocked is how many connections MaxConnections counts. A further request on one of HTTP/2
// counts as if it had come on a connection of its own.
func (cs *connections) heldLocked() int {
	return len(cs.proxied) + len(cs.relayed) + int(cs.extra.Load())
}

// free is how many more connections MaxConnections allows, which is set.
func (cs *connections) free() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.cfg.MaxConnections - cs.heldLocked()
}

// oldest takes the newcomer out that has waited longest, if there are more newcomers than that. It
// returns nil if there are not.
func (cs *connections) oldest(beyond int64) *conn {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if int64(cs.silent.n+cs.begun.n) <= beyond {
		return nil
	}
	return cs.oldestLocked()
}

// oldestLocked takes the newcomer out that has waited longest, one that sent nothing before all
// that sent something. It returns nil if there is none.
func (cs *connections) oldestLocked() *conn {
	c := cs.silent.first
	if c == nil {
		c = cs.begun.first
	}
	if c != nil {
		c.member.queue.remove(c)
		delete(cs.proxied, c)
	}
	return c
}

// closeLongest closes up to that many connections, those that have been without a request for
// longest. It returns false if there are none.
func (cs *connections) closeLongest(most int, now time.Time) bool {
	cs.mu.Lock()
	all := longest(cs.proxied, now, func(c *conn) int64 { return c.activity.idleSince() })
	cs.mu.Unlock()
	closed := 0
	for _, c := range all {
		if closed == most {
			break
		}
		if c.closeIfIdle() {
			closed++
			cs.mu.Lock()
			delete(cs.proxied, c)
			cs.mu.Unlock()
		}
	}
	cs.metrics.evicted.WithLabelValues("idle").Add(float64(closed))
	return closed > 0
}

// closeIdle closes what is between requests and returns the relays, and how many connections are
// left.
func (cs *connections) closeIdle() (relays []*relayedSocket, left int) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for c := range cs.proxied {
		c.closeIdle()
	}
	return slices.Collect(maps.Keys(cs.relayed)), len(cs.proxied) + len(cs.relayed)
}

// cut ends everything now, and whoever comes later at once. It returns how many it has cut.
func (cs *connections) cut() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.ended = true
	for c := range cs.proxied {
		c.cutOff()
	}
	for p := range cs.relayed {
		p.Cut()
	}
	return len(cs.proxied) + len(cs.relayed)
}

// newcomers are connections that have not sent a whole request, in the order in which they came.
// Its owner's mu guards it: that of connections, or a listener's.
type newcomers struct {
	first, last *conn
	n           int
}

func (l *newcomers) push(c *conn) {
	m := &c.member
	m.queue, m.before, m.after = l, l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.member.after = c
	}
	l.last = c
	l.n++
}

func (l *newcomers) remove(c *conn) {
	m := &c.member
	if m.before == nil {
		l.first = m.after
	} else {
		m.before.member.after = m.after
	}
	if m.after == nil {
		l.last = m.before
	} else {
		m.after.member.before = m.before
	}
	m.queue, m.before, m.after = nil, nil, nil
	l.n--
}
