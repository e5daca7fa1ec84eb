package router

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A client decides how many descriptors it takes from the router: by connections, and over HTTP/2
// by requests, each of which needs a connection to a worker. This file sees to it that there is one
// left for the next client.

const (
	// fewStreams is how many requests at a time an HTTP/2 connection may always have: a poll and a
	// post.
	fewStreams = 2
	// shareOfStreams divides the free places: a connection may use one of so many beyond the first
	// few. However many connections take as much as they get, some places stay free.
	shareOfStreams = 4
	// oldEnough is how long a connection that gives way has waited for its client.
	oldEnough = time.Second
	// lookAgain is how long the router believes that nobody can give way.
	lookAgain = 20 * time.Millisecond
	// mostTries bounds how many give way for one.
	mostTries = 16
)

// budget counts the file descriptors of connections.
type budget struct {
	most   atomic.Int64 // connections of clients and to workers
	open   atomic.Int64 // connections to workers
	using  atomic.Int64 // requests and relays that use one, or are about to
	extra  atomic.Int64 // of these, more than one of an HTTP/2 connection
	looked atomic.Int64 // Unix nanoseconds when nobody could give way

	mu      sync.Mutex // guards uploads
	uploads map[*upload]struct{}
}

// descriptors is how many connections may have: what the process may open, without what the rest of
// it needs.
func descriptors() int {
	const unlimited = 1 << 20
	most := unlimited
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < unlimited {
		most = int(limit.Cur)
	}
	return max(most-max(min(most/2, 64), min(most/8, 4096)), 8)
}

// outOfDescriptors reports whether err is the kernel's refusal to open one more.
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// newcomers are connections that have not sent a whole request, in the order in which they came.
// Router.mu guards the router's, and each listener's own mu its.
type newcomers struct {
	first, last *conn
	n           int
}

func (l *newcomers) push(c *conn) {
	c.queue, c.before, c.after = l, l.last, nil
	if l.last == nil {
		l.first = c
	} else {
		l.last.after = c
	}
	l.last = c
	l.n++
}

func (l *newcomers) remove(c *conn) {
	if c.before == nil {
		l.first = c.after
	} else {
		c.before.after = c.after
	}
	if c.after == nil {
		l.last = c.before
	} else {
		c.after.before = c.before
	}
	c.queue, c.before, c.after = nil, nil, nil
	l.n--
}

// begins notes that something came of the first request.
func (c *conn) begins() {
	if !c.newcomer.Load() {
		return
	}
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.queue == &c.r.silent {
		c.queue.remove(c)
		c.r.begun.push(c)
	}
}

// heard notes that a whole request came.
func (c *conn) heard() {
	if !c.newcomer.Load() || !c.newcomer.CompareAndSwap(true, false) {
		return
	}
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if c.queue != nil {
		c.queue.remove(c)
	}
}

// letIn counts a new connection, for which another one may have to give way.
func (r *Router) letIn(c *conn) limit {
	for tries := 0; tries < mostTries && r.crowded(); tries++ {
		if !r.makeRoom() {
			return byDescriptors
		}
	}
	r.mu.Lock()
	var leaves *conn
	full := r.cfg.MaxConnections > 0 && r.heldLocked() >= r.cfg.MaxConnections
	if full || r.silent.n+r.begun.n >= r.cfg.MaxSilent {
		leaves = r.oldestLocked()
	}
	if full && leaves == nil {
		r.mu.Unlock()
		return byConnections
	}
	r.conns[c] = struct{}{}
	c.counted = true
	c.newcomer.Store(true)
	r.silent.push(c)
	r.mu.Unlock()
	leaves.giveWay()
	return unlimited
}

// crowded reports whether all descriptors are taken.
func (r *Router) crowded() bool {
	return r.held() >= r.budget.most.Load()
}

// held is how many descriptors the connections have.
func (r *Router) held() int64 { return int64(r.Connections()) + r.budget.open.Load() }

// shortage makes room after the kernel has refused a descriptor, though there were some by our
// count: somebody else in this process has them. From now on the connections get fewer, and slowly
// more again (restore). It returns false if nobody gives way.
func (r *Router) shortage() bool {
	held := r.held()
	r.budget.most.Store(max(held-max(held/16, 8), 8))
	made := false
	for tries := 0; tries < mostTries && (r.crowded() || tries < 2); tries++ { // a connection to a worker is made of two
		if !r.makeRoom() {
			break
		}
		made = true
	}
	return made
}

// restore gives back a part of what a shortage took, each second.
func (r *Router) restore() {
	if most, all := r.budget.most.Load(), int64(r.cfg.Descriptors); most < all {
		r.budget.most.CompareAndSwap(most, min(most+max(all/64, 1), all))
	}
}

// heldLocked is how many connections MaxConnections counts. A further request on one of HTTP/2
// counts as if it had come on a connection of its own.
func (r *Router) heldLocked() int { return len(r.conns) + len(r.relays) + int(r.budget.extra.Load()) }

// oldestLocked takes the newcomer out that has waited longest, one that sent nothing before all
// that sent something. It returns nil if there is none.
func (r *Router) oldestLocked() *conn {
	c := r.silent.first
	if c == nil {
		c = r.begun.first
	}
	if c != nil {
		c.queue.remove(c)
		delete(r.conns, c)
	}
	return c
}

// giveWay closes a newcomer. Its goroutine ends with that.
func (c *conn) giveWay() {
	if c != nil {
		c.r.metrics.evicted.WithLabelValues("newcomer").Inc()
		c.nc.Close()
	}
}

// makeRoom has somebody give a descriptor back who needs it less than whoever comes: newcomers, if
// they are many; idle connections to workers; clients between two requests, and those that send
// nothing in the middle of a body. It returns false if all are needed.
func (r *Router) makeRoom() bool {
	r.mu.Lock()
	var c *conn
	if int64(r.silent.n+r.begun.n) > r.budget.most.Load()/16 {
		c = r.oldestLocked()
	}
	r.mu.Unlock()
	now := time.Now()
	switch {
	case c != nil:
	case now.UnixNano()-r.budget.looked.Load() < int64(lookAgain):
	case r.closeUpstreams(now) && !r.crowded(), r.closeClients(now), r.hurry(now):
		return true
	default:
		r.budget.looked.Store(now.UnixNano())
	}
	if c == nil {
		r.mu.Lock()
		c = r.oldestLocked()
		r.mu.Unlock()
	}
	c.giveWay()
	return c != nil
}

// closeUpstreams closes the idle connections to workers.
func (r *Router) closeUpstreams(now time.Time) bool {
	before := r.budget.open.Load()
	r.tidyAt(now, true)
	return r.budget.open.Load() < before
}

// atOnce is how many give way at a time: looking for them costs as much as there are.
func (r *Router) atOnce() int { return max(int(r.budget.most.Load()/64), 1) }

// closeClients closes the connections that have been without a request for longest.
func (r *Router) closeClients(now time.Time) bool {
	type idle struct {
		c     *conn
		since int64
	}
	var all []idle
	r.mu.Lock()
	for c := range r.conns {
		if since := c.idleSince(); since != 0 && now.UnixNano()-since >= int64(oldEnough) {
			all = append(all, idle{c, since})
		}
	}
	r.mu.Unlock()
	slices.SortFunc(all, func(a, b idle) int { return compare(a.since, b.since) })
	closed := 0
	for _, i := range all {
		if closed == r.atOnce() {
			break
		}
		if i.c.closeIfIdle() {
			closed++
			r.mu.Lock()
			delete(r.conns, i.c)
			r.mu.Unlock()
		}
	}
	r.metrics.evicted.WithLabelValues("idle").Add(float64(closed))
	return closed > 0
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// idleSince is when the connection's last request ended, in Unix nanoseconds; 0: it has one, or is
// a newcomer.
func (c *conn) idleSince() int64 {
	switch connState(c.state.Load()) {
	case connIdle, connMuxed:
		return c.since.Load()
	}
	return 0
}

// closeIfIdle closes a connection between two requests. It returns false if the next one has begun.
func (c *conn) closeIfIdle() bool {
	switch connState(c.state.Load()) {
	case connIdle:
		if !c.state.CompareAndSwap(uint32(connIdle), uint32(connClosed)) {
			return false
		}
	case connMuxed:
		if c.since.Load() == 0 {
			return false
		}
	default:
		return false
	}
	c.nc.Close()
	return true
}

// hurry ends the bodies for which the router has waited longest.
func (r *Router) hurry(now time.Time) bool {
	type slow struct {
		p     *upload
		since int64
	}
	var all []slow
	r.budget.mu.Lock()
	for p := range r.budget.uploads {
		if since := p.waits.Load(); since != 0 && now.UnixNano()-since >= int64(oldEnough) {
			all = append(all, slow{p, since})
		}
	}
	r.budget.mu.Unlock()
	slices.SortFunc(all, func(a, b slow) int { return compare(a.since, b.since) })
	ended := 0
	for _, s := range all[:min(len(all), r.atOnce())] {
		if s.p.hurry() {
			ended++
		}
	}
	r.metrics.evicted.WithLabelValues("body").Add(float64(ended))
	return ended > 0
}

func (m *budget) add(p *upload) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.uploads == nil {
		m.uploads = make(map[*upload]struct{})
	}
	m.uploads[p] = struct{}{}
}

func (m *budget) remove(p *upload) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.uploads, p)
}

// admit takes a place for the request's connection to its worker, until the exchange is reset or
// the relay ends.
func (x *exchange) admit() limit {
	if x.route.admitted {
		return unlimited
	}
	l := x.c.r.reserve(x.c.parent)
	x.route.admitted = l == unlimited
	return l
}

// reserve takes a place. Half of the descriptors are for connections to workers: a client of
// HTTP/1 needs one of each kind. Of those an HTTP/2 connection gets a share of what is free, so
// that it leaves places to others.
func (r *Router) reserve(parent *conn) limit {
	m, most := &r.budget, r.budget.most.Load()/2
	using := m.using.Add(1)
	if using > most && !r.urge() {
		m.using.Add(-1)
		return byDescriptors
	}
	if parent == nil {
		return unlimited
	}
	n := parent.uses.Add(1)
	if n > 1 {
		m.extra.Add(1)
	}
	l := unlimited
	if n > fewStreams {
		if n*shareOfStreams > most-using {
			l = byDescriptors
		} else if c := r.cfg.MaxConnections; c > 0 {
			r.mu.Lock()
			free := c - r.heldLocked()
			r.mu.Unlock()
			if n*shareOfStreams > int64(free) {
				l = byConnections
			}
		}
	}
	if l != unlimited {
		r.unreserve(parent)
	}
	return l
}

func (r *Router) unreserve(parent *conn) {
	r.budget.using.Add(-1)
	if parent != nil && parent.uses.Add(-1) > 0 {
		r.budget.extra.Add(-1)
	}
}

// urge is hurry, but not again and again in vain.
func (r *Router) urge() bool {
	now := time.Now()
	if now.UnixNano()-r.budget.looked.Load() < int64(lookAgain) {
		return false
	}
	if r.hurry(now) {
		return true
	}
	r.budget.looked.Store(now.UnixNano())
	return false
}

// active notes whether a connection with a multiplexer has requests.
func (c *conn) active(has bool) {
	since := int64(0)
	if !has {
		since = time.Now().UnixNano()
	}
	c.since.Store(since)
}
