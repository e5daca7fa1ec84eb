package redisconn

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// idle is how long a subscription that lacks nothing waits before it looks whether it does; events
// wake it before.
const idle = time.Hour

// movedPause is how long shard channels wait that a node sent elsewhere: nodes may send each other
// in a circle until all know of a move.
const movedPause = 20 * time.Millisecond

// routing is which connection each shard channel of a cluster is bound to. It is guarded by
// Subscription.mu. The other topics, and outside a cluster all, are bound to the link home.
type routing struct {
	bySlot map[uint16]*link
	strays map[topic]struct{} // wanted shard channels of a slot that is bound to no link
	rests  map[string]rest    // places that failed
	moved  int                // loosely wanted ones that lost their node, to be told
	until  time.Time          // strays wait till then
	last   *redis.Client      // whom the link home was with
	stale  bool               // what the nodes told is not true any more
	read   uint64             // the edition of the cluster map that was found stale
}

// rest is how long a place is left alone.
type rest struct {
	until time.Time
	next  time.Duration // how long after the next failure
}

func newRouting() routing {
	return routing{bySlot: make(map[uint16]*link), strays: make(map[topic]struct{}), rests: make(map[string]rest)}
}

// roamsLocked tells whether a topic is bound to the node that serves it.
func (s *Subscription) roamsLocked(t topic) bool { return t.kind == shards && s.conn.cluster != nil }

// linkLocked is the link that a topic is bound to, nil if there is none now.
func (s *Subscription) linkLocked(t topic) *link {
	if s.roamsLocked(t) {
		return s.bySlot[slotOf(t.name)]
	}
	return s.links[home]
}

// unrouteLocked frees the slots that were bound to a link that has ended.
func (s *Subscription) unrouteLocked(l *link) {
	for slot, bound := range s.bySlot {
		if bound == l {
			delete(s.bySlot, slot)
		}
	}
	s.staleLocked()
}

func (s *Subscription) staleLocked() {
	if s.conn.cluster != nil && !s.stale {
		s.stale = true
		_, s.read, _ = s.conn.cluster.owner(0)
	}
}

// restLocked leaves the place of a link that has ended alone for a while, the longer the more often
// it failed.
func (s *Subscription) restLocked(l *link) {
	r := rest{next: retryFirst}
	if !l.alive {
		if was, ok := s.rests[l.place]; ok {
			r.next = min(2*was.next, retryMost)
		}
	}
	r.until = time.Now().Add(r.next)
	s.rests[l.place] = r
}

// leftLocked takes a confirmed SUNSUBSCRIBE. One that was not asked for says that the node serves
// the slot no more.
func (s *Subscription) leftLocked(l *link, t topic) {
	if n := l.leaving[t]; n > 0 {
		if l.leaving[t] = n - 1; n == 1 {
			delete(l.leaving, t)
		}
	} else if s.want[t] != 0 && s.roamsLocked(t) {
		slot := slotOf(t.name)
		if bound := s.bySlot[slot]; bound != nil && bound != l {
			return // it is bound to its new node already
		}
		delete(s.bySlot, slot)
		s.strayLocked(t)
		s.staleLocked()
		s.poke()
		return
	}
	if bound := s.linkLocked(t); bound == l || bound == nil {
		s.deactivateLocked(t)
	}
}

// strayLocked notes that another node serves a wanted shard channel now.
func (s *Subscription) strayLocked(t topic) {
	if _, was := s.active[t]; was && s.want[t]&firmly == 0 {
		s.moved++
	}
	s.loseLocked(t)
	if s.want[t]&firmly != 0 {
		s.lost[t] = struct{}{}
	}
}

// movedAway takes a node's refusal to serve a slot. Others end the link.
func (s *Subscription) movedAway(l *link, err error) bool {
	if s.conn.cluster == nil {
		return false
	}
	slot, ok := s.conn.cluster.follow(err, l.place)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bySlot[slot] != l {
		return true
	}
	delete(s.bySlot, slot)
	for t := range s.want {
		if t.kind == shards && slotOf(t.name) == slot {
			s.strayLocked(t)
		}
	}
	s.until = time.Now().Add(movedPause)
	s.tellLocked()
	s.poke()
	return true
}

// sink tells of shard channels that were lost while their connection lives on.
func (s *Subscription) sink() {
	s.mu.Lock()
	lost, moved := s.up && len(s.lost) > 0, s.moved
	s.moved = 0
	s.mu.Unlock()
	if lost {
		s.fall()
	}
	if moved > 0 && s.cfg.OnMoved != nil {
		s.told.Lock()
		s.cfg.OnMoved(moved)
		s.told.Unlock()
	}
}

// place sees to it that every topic has a connection that it is bound to, and returns when to call
// it again.
func (s *Subscription) place(ctx context.Context, running *sync.WaitGroup) (again time.Duration) {
	s.sink()
	again = s.placeHome(ctx, running)
	if s.conn.cluster == nil {
		return again
	}
	s.mu.Lock()
	n, stale, read, wait := len(s.strays), s.stale, s.read, time.Until(s.until)
	s.mu.Unlock()
	switch {
	case n == 0:
		return again
	case wait > 0:
		return min(again, wait)
	}
	if err := s.readClusterMap(ctx, stale, read); err != nil {
		s.refuse(Classify(err))
		return min(again, retryMost/4)
	}
	return min(again, s.bindStrays(ctx, running))
}

// placeHome connects to any node, where there is no such connection.
func (s *Subscription) placeHome(ctx context.Context, running *sync.WaitGroup) time.Duration {
	s.mu.Lock()
	there, wait, last := s.links[home] != nil, time.Until(s.rests[home].until), s.last
	s.mu.Unlock()
	if there {
		return idle
	}
	if wait > 0 {
		return wait
	}
	node, err := s.conn.AnyNode(ctx, last)
	if err != nil {
		s.refuse(Classify(err))
		return retryMost / 4
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = node
	l := s.startLocked(ctx, running, home, node)
	for t := range s.want {
		if !s.roamsLocked(t) {
			l.dirty[t] = struct{}{}
		}
	}
	return idle
}

// readClusterMap asks the nodes again when what they told was found untrue.
func (s *Subscription) readClusterMap(ctx context.Context, stale bool, read uint64) error {
	if !stale {
		return s.conn.cluster.ensure(ctx, idle)
	}
	if err := s.conn.cluster.reload(ctx, read); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = false
	return nil
}

// bindStrays binds shard channels to the nodes that serve them. Those of nodes that failed a moment
// ago wait.
func (s *Subscription) bindStrays(ctx context.Context, running *sync.WaitGroup) (again time.Duration) {
	again = idle
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.strays {
		slot := slotOf(t.name)
		l := s.bySlot[slot]
		if l == nil {
			addr, _, ok := s.conn.cluster.owner(slot)
			wait := time.Until(s.rests[addr].until)
			if !ok {
				wait = max(wait, retryMost/4)
			}
			if wait > 0 {
				again = min(again, wait)
				s.staleLocked() // by then another may serve it
				continue
			}
			if l = s.links[addr]; l == nil {
				l = s.startLocked(ctx, running, addr, s.conn.cluster.node(addr))
			}
			s.bySlot[slot] = l
		}
		delete(s.strays, t)
		l.dirty[t] = struct{}{}
		l.nudge()
	}
	return again
}
