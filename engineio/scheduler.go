package engineio

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// idle tells the receiver that all messages of one read were handed over. recvMu is held.
func (s *Session) idle() {
	if r, ok := s.recv.(eventloop.Receiver); ok {
		r.IdleOn((*loop)(s))
		return
	}
	s.recv.Idle()
}

// busy reports whether the receiver still works on what it received.
func (s *Session) busy() bool {
	s.recvMu.Lock()
	recv := s.recv
	s.recvMu.Unlock()
	r, ok := recv.(eventloop.Receiver)
	return ok && r.Busy()
}

// isPinned reports whether the receiver wants the session to stay on this server.
func (s *Session) isPinned() bool {
	s.recvMu.Lock()
	recv := s.recv
	s.recvMu.Unlock()
	r, ok := recv.(eventloop.Receiver)
	return ok && r.Pinned()
}

// loop is a Session as its receiver's eventloop.Loop, while recvMu is held.
type loop Session

// Later implements eventloop.Loop.
func (l *loop) Later(w eventloop.Work) {
	if l.reader == nil || !l.reader.add(w) {
		l.server.pool.do(w)
	}
}

const (
	// checkEvery is how often check looks at the leader. A leader that is still at the same turn
	// as at the last check is overdue.
	checkEvery = time.Millisecond
	// A leader whose turns are quick puts the checks off, since each wakes a thread, and Go's
	// monitor after it. It looks at the clock every fourth turn.
	putOffAfter = checkEvery / 4
	lookEvery   = 4
	// helpAt is how much work has to wait before one more goroutine, on another core, is worth its
	// start.
	helpAt = 32
)

// scheduler decides which goroutine does the work that follows from what a poller reads. Its leader
// is the goroutine that polls: it reads what there is, does the work of that, and polls again, so
// that most messages need no other goroutine (ADR 0016). Reading a connection may take long all the
// same, and so may work. The scheduler then leaves the overdue leader to what it does and starts
// another one, which does the waiting work, reads and polls.
type scheduler struct {
	pool  *pool // for work that isn't brief
	tasks *sync.WaitGroup
	lead  func()        // the leader's loop, which calls work
	lost  func()        // called with mu held when a leader is replaced, before the next one starts
	watch func(on bool) // has check called every checkEvery from now on, on one goroutine, or not any more
	cores int

	turn    atomic.Uint64  // the leader's; odd while it reads a connection or does work
	now     eventloop.Work // the work of an odd turn; nil while the leader reads
	leader  *leader        // the present one
	watched bool           // the leader's: the watch is on
	since   time.Time      // the leader's: when it was put off last
	turns   uint           // the leader's: since it looked at the clock
	seen    uint64         // check's: the turn at the last one

	mu      sync.Mutex
	queue   workQueue
	helpers int
}

// leader is the time for which one goroutine leads.
type leader struct {
	scheduler *scheduler
	over      bool // another goroutine leads; under scheduler.mu
}

func newScheduler(pool *pool, lead, lost func(), watch func(on bool)) *scheduler {
	s := &scheduler{pool: pool, tasks: pool.tasks, lead: lead, lost: lost, watch: watch, cores: runtime.GOMAXPROCS(0)}
	s.leader = &leader{scheduler: s}
	return s
}

// add queues w for the leader. It is called on the leader's goroutine. It returns false, and queues
// nothing, if another goroutine leads by now: that one may wait for events.
func (l *leader) add(w eventloop.Work) bool {
	s := l.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.over {
		return false
	}
	s.queue.push(w)
	return true
}

// next takes the work that has waited longest, or nil, and returns how long it may occupy the
// leader. It starts a helper if too much waits.
func (s *scheduler) next() (eventloop.Work, eventloop.Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue.len() > helpAt*(s.helpers+1) && s.helpers < s.cores-1 {
		s.helpers++
		s.tasks.Go(s.help)
	}
	w := s.queue.pop()
	if s.queue.len() > 0 {
		return w, eventloop.Brief
	}
	return w, eventloop.Short
}

// help does waiting work beside the leader, until none is left.
func (s *scheduler) help() {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.helpers--
	}()
	for w, _ := s.next(); w != nil; w, _ = s.next() {
		w.Do(eventloop.Unlimited)
	}
}

// work does the waiting work. The leader calls it; it reports whether the caller still leads.
func (s *scheduler) work() (leads bool) {
	for w, limit := s.next(); w != nil; w, limit = s.next() {
		if !s.do(w, limit) {
			return false
		}
	}
	return true
}

// begin starts a turn: w, or the reading of a connection if w is nil. The leader calls it. check
// sees how long the turn takes.
func (s *scheduler) begin(w eventloop.Work) (turn uint64) {
	if s.turns++; !s.watched || s.turns == lookEvery {
		s.turns = 0
		if now := time.Now(); !s.watched || now.Sub(s.since) > putOffAfter {
			s.watched, s.since = true, now
			s.watch(true)
		}
	}
	s.now = w
	return s.turn.Add(1)
}

// rest ends the watch until the next turn. The leader calls it when it has nothing to do.
func (s *scheduler) rest() {
	if s.watched {
		s.watched = false
		s.watch(false)
	}
}

// end ends a turn and reports whether the caller still leads.
func (s *scheduler) end(turn uint64) (leads bool) { return s.turn.CompareAndSwap(turn, turn+1) }

// do does w in a turn and reports whether the caller still leads.
func (s *scheduler) do(w eventloop.Work, limit eventloop.Limit) (leads bool) {
	turn := s.begin(w)
	returned := false
	defer func() {
		if !returned && s.end(turn) { // runtime.Goexit
			s.tasks.Go(s.lead)
		}
	}()
	done := w.Do(limit)
	returned = true
	leads = s.end(turn)
	switch {
	case done:
	case leads:
		s.pool.do(w)
	default:
		w.Do(eventloop.Unlimited)
	}
	return leads
}

// check replaces an overdue leader.
func (s *scheduler) check() {
	turn := s.turn.Load()
	if turn == s.seen && turn%2 == 1 {
		if w, ok := s.replace(turn); ok {
			s.tasks.Go(s.lead)
			if w != nil {
				w.Overdue()
			}
		}
	}
	s.seen = turn
}

// replace ends the lead of a leader that is still at turn, and returns its work. A leader that
// finds itself replaced sees everything that lost has changed once it has held mu.
func (s *scheduler) replace(turn uint64) (w eventloop.Work, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.end(turn) {
		return nil, false
	}
	s.leader.over = true
	s.leader = &leader{scheduler: s}
	s.lost()
	return s.now, true
}

// pool does work that may take long, each on a goroutine that nobody waits for. A goroutine that
// finishes takes the next work. The goroutine started for that work then finds the queue empty and
// exits. So only few stacks grow: growing them was 10 % of the time of fan-outs to rooms of 10.
type pool struct {
	tasks *sync.WaitGroup

	mu    sync.Mutex
	queue workQueue
}

func (p *pool) do(w eventloop.Work) {
	p.mu.Lock()
	p.queue.push(w)
	p.mu.Unlock()
	p.tasks.Go(p.run) // one for each eventloop.Work, should all block
}

func (p *pool) run() {
	for w := p.next(); w != nil; w = p.next() {
		w.Do(eventloop.Unlimited)
	}
}

func (p *pool) next() eventloop.Work {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queue.pop()
}

// workQueue is a queue of work, oldest first.
type workQueue struct {
	list  []eventloop.Work
	taken int // of list
}

func (q *workQueue) len() int { return len(q.list) - q.taken }

func (q *workQueue) push(w eventloop.Work) {
	if len(q.list) == cap(q.list) && q.taken > len(q.list)/2 { // what was taken makes room
		n := copy(q.list, q.list[q.taken:])
		clear(q.list[n:])
		q.list, q.taken = q.list[:n], 0
	}
	q.list = append(q.list, w)
}

// keepWork is the largest array that an empty queue keeps.
const keepWork = 1 << 10

// pop takes the oldest, or nil.
func (q *workQueue) pop() eventloop.Work {
	if q.len() == 0 {
		if q.list, q.taken = q.list[:0], 0; cap(q.list) > keepWork {
			q.list = nil
		}
		return nil
	}
	w := q.list[q.taken]
	q.list[q.taken] = nil
	q.taken++
	return w
}
