package router

import (
	"cmp"
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

// budget counts the file descriptors of connections, and decides who gives one back.
type budget struct {
	cfg     *Config
	metrics *metrics
	conns   *connections
	tidy    func(now time.Time, all bool) // closes idle connections to workers

	most   atomic.Int64 // connections of clients and to workers
	open   atomic.Int64 // connections to workers
	using  atomic.Int64 // requests and relays that use one, or are about to
	looked atomic.Int64 // Unix nanoseconds when nobody could give way

	mu      sync.Mutex // guards uploads
	uploads map[*upload]struct{}
}

func (m *budget) init(cfg *Config, metrics *metrics, conns *connections, tidy func(now time.Time, all bool)) {
	m.cfg, m.metrics, m.conns, m.tidy = cfg, metrics, conns, tidy
	m.most.Store(int64(cfg.Descriptors))
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

// makeWay has others give way until there is a descriptor for a new connection. It returns false if
// all descriptors are needed.
func (m *budget) makeWay() bool {
	for tries := 0; tries < mostTries && m.crowded(); tries++ {
		if !m.makeRoom() {
			return false
		}
	}
	return true
}

// crowded reports whether all descriptors are taken.
func (m *budget) crowded() bool { return m.held() >= m.most.Load() }

// held is how many descriptors the connections have.
func (m *budget) held() int64 { return int64(m.conns.count()) + m.open.Load() }

// shortage makes room after the kernel has refused a descriptor, though there were some by our
// count: somebody else in this process has them. From now on the connections get fewer, and slowly
// more again (restore). It returns false if nobody gives way.
func (m *budget) shortage() bool {
	held := m.held()
	m.most.Store(max(held-max(held/16, 8), 8))
	made := false
	for tries := 0; tries < mostTries && (m.crowded() || tries < 2); tries++ { // a connection to a worker is made of two
		if !m.makeRoom() {
			break
		}
		made = true
	}
	return made
}

// restore gives back a part of what a shortage took, each second.
func (m *budget) restore() {
	if most, all := m.most.Load(), int64(m.cfg.Descriptors); most < all {
		m.most.CompareAndSwap(most, min(most+max(all/64, 1), all))
	}
}

// makeRoom has somebody give a descriptor back who needs it less than whoever comes: newcomers, if
// they are many; idle connections to workers; clients between two requests, and those that send
// nothing in the middle of a body. It returns false if all are needed.
func (m *budget) makeRoom() bool {
	c := m.conns.oldest(m.most.Load() / 16)
	now := time.Now()
	switch {
	case c != nil:
	case now.UnixNano()-m.looked.Load() < int64(lookAgain):
	case m.closeUpstreams(now) && !m.crowded(), m.conns.closeLongest(m.atOnce(), now), m.hurry(now):
		return true
	default:
		m.looked.Store(now.UnixNano())
	}
	if c == nil {
		c = m.conns.oldest(0)
	}
	c.giveWay()
	return c != nil
}

// closeUpstreams closes the idle connections to workers.
func (m *budget) closeUpstreams(now time.Time) bool {
	before := m.open.Load()
	m.tidy(now, true)
	return m.open.Load() < before
}

// atOnce is how many give way at a time: looking for them costs as much as there are.
func (m *budget) atOnce() int { return max(int(m.most.Load()/64), 1) }

// hurry ends the bodies for which the router has waited longest.
func (m *budget) hurry(now time.Time) bool {
	m.mu.Lock()
	all := longest(m.uploads, now, func(p *upload) int64 { return p.waits.Load() })
	m.mu.Unlock()
	ended := 0
	for _, p := range all[:min(len(all), m.atOnce())] {
		if p.hurry() {
			ended++
		}
	}
	m.metrics.evicted.WithLabelValues("body").Add(float64(ended))
	return ended > 0
}

// longest returns those of all that have waited for oldEnough, whoever has waited longest first.
// Since is when that began, in Unix nanoseconds; 0: it doesn't wait.
func longest[T comparable](all map[T]struct{}, now time.Time, since func(T) int64) []T {
	type waiting struct {
		who   T
		since int64
	}
	var some []waiting
	for who := range all {
		if at := since(who); at != 0 && now.UnixNano()-at >= int64(oldEnough) {
			some = append(some, waiting{who, at})
		}
	}
	slices.SortFunc(some, func(a, b waiting) int { return cmp.Compare(a.since, b.since) })
	sorted := make([]T, len(some))
	for i, w := range some {
		sorted[i] = w.who
	}
	return sorted
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
	l := x.c.r.budget.reserve(x.c.parent)
	x.route.admitted = l == unlimited
	return l
}

// reserve takes a place. Half of the descriptors are for connections to workers: a client of
// HTTP/1 needs one of each kind. Of those an HTTP/2 connection gets a share of what is free, so
// that it leaves places to others.
func (m *budget) reserve(parent *conn) limit {
	most := m.most.Load() / 2
	using := m.using.Add(1)
	if using > most && !m.urge() {
		m.using.Add(-1)
		return byDescriptors
	}
	if parent == nil {
		return unlimited
	}
	n := parent.uses.Add(1)
	if n > 1 {
		m.conns.extra.Add(1)
	}
	l := unlimited
	if n > fewStreams {
		if n*shareOfStreams > most-using {
			l = byDescriptors
		} else if m.cfg.MaxConnections > 0 && n*shareOfStreams > int64(m.conns.free()) {
			l = byConnections
		}
	}
	if l != unlimited {
		m.unreserve(parent)
	}
	return l
}

func (m *budget) unreserve(parent *conn) {
	m.using.Add(-1)
	if parent != nil && parent.uses.Add(-1) > 0 {
		m.conns.extra.Add(-1)
	}
}

// urge is hurry, but not again and again in vain.
func (m *budget) urge() bool {
	now := time.Now()
	if now.UnixNano()-m.looked.Load() < int64(lookAgain) {
		return false
	}
	if m.hurry(now) {
		return true
	}
	m.looked.Store(now.UnixNano())
	return false
}
