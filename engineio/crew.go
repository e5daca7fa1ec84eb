package engineio

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Work is what a Receiver has still to do about what it received, and what may take time: an app's handlers, for example.
type Work interface {
	// Do does it and reports whether all is done. While brief, it is called on a goroutine for which other connections
	// wait: it returns false as soon as what comes next may take long, and is then called again, with brief false, on a
	// goroutine of its own.
	Do(brief bool) (done bool)
	// Late is called while a brief Do takes longer than it should, on another goroutine. Nobody waits for it any more.
	Late()
}

// Later has w done once all is read that can be read now: on the goroutine that reads the session's connection, as far as
// that may be, else on one of its own. It is only for the session's Receiver, within Receive or Idle.
func (s *Session) Later(w Work) {
	if s.reader == nil || !s.reader.add(w) {
		s.server.hands.do(w)
	}
}

const (
	// lookEvery is how often a leader is looked after: one that is still at the same turn as the
	// last time is late.
	lookEvery = time.Millisecond
	// helpAt is how much Work waits when one more goroutine, on another core, is worth its start.
	helpAt = 32
)

// crew does the Work of what a poller reads. Its leader is the goroutine that polls: it reads what
// there is, does the Work of that, and polls again, so that most messages need no other goroutine
// (ADR 0016). Reading a connection and Work may take long all the same: a leader that is late is
// left to what it does, and a new one does what waits, reads and polls.
type crew struct {
	hands *hands // for Work that is not brief
	tasks *sync.WaitGroup
	lead  func() // what a leader does: a loop that calls work
	lost  func() // called when a leader is replaced, with mu held, before there is another
	cores int

	turn     atomic.Uint64 // of the leader; odd while it reads a connection or does a Work
	now      Work          // of an odd turn, the leader's, or of who has ended its lead; nil: it reads
	leader   *leader       // the leader's
	watching atomic.Bool   // the watch is on, and one of tasks
	watch    *time.Timer
	seen     uint64 // the watch's: the turn at its last look

	mu      sync.Mutex
	queue   workQueue
	helpers int
}

// leader is a goroutine's time as the crew's leader.
type leader struct {
	crew *crew
	over bool // another leads; under crew.mu
}

func newCrew(hands *hands, lead, lost func()) *crew {
	c := &crew{hands: hands, tasks: hands.tasks, lead: lead, lost: lost, cores: runtime.GOMAXPROCS(0)}
	c.leader = &leader{crew: c}
	c.watch = time.AfterFunc(time.Hour, c.look)
	c.watch.Stop()
	return c
}

// add has w done by the leader, whose goroutine this is. It reports false, and does nothing, if
// that leads no more: the one who does may wait for events.
func (l *leader) add(w Work) bool {
	c := l.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.over {
		return false
	}
	c.queue.push(w)
	return true
}

// next takes what has waited longest, if anything does. When that is more than few can do soon, it calls for help.
func (c *crew) next() Work {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queue.len() > helpAt*(c.helpers+1) && c.helpers < c.cores-1 {
		c.helpers++
		c.tasks.Go(c.help)
	}
	return c.queue.pop()
}

// help does what waits, beside the leader.
func (c *crew) help() {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.helpers--
	}()
	for w := c.next(); w != nil; w = c.next() {
		w.Do(false)
	}
}

// work is the leader's: it does what waits, and reports whether the caller still leads.
func (c *crew) work() (leads bool) {
	for w := c.next(); w != nil; w = c.next() {
		if !c.do(w) {
			return false
		}
	}
	return true
}

// begin begins what may take long: w, or the reading of a connection. It is the leader's, and has
// the watch look after it.
func (c *crew) begin(w Work) (turn uint64) {
	c.now = w
	turn = c.turn.Add(1)
	if !c.watching.Load() && c.watching.CompareAndSwap(false, true) {
		c.tasks.Add(1)
		c.watch.Reset(lookEvery)
	}
	return turn
}

// end ends what was begun, and reports whether the caller still leads.
func (c *crew) end(turn uint64) (leads bool) { return c.turn.CompareAndSwap(turn, turn+1) }

// do does one Work, watched, and reports whether the caller still leads.
func (c *crew) do(w Work) (leads bool) {
	turn := c.begin(w)
	returned := false
	defer func() {
		if !returned && c.end(turn) { // runtime.Goexit
			c.tasks.Go(c.lead)
		}
	}()
	done := w.Do(true)
	returned = true
	leads = c.end(turn)
	switch {
	case done:
	case leads:
		c.hands.do(w)
	default:
		w.Do(false)
	}
	return leads
}

// look is the watch's, again and again while there is something to look after: it replaces a leader
// that is late.
func (c *crew) look() {
	turn := c.turn.Load()
	switch {
	case turn != c.seen:
	case turn%2 == 1:
		if w, ok := c.replace(turn); ok {
			c.tasks.Go(c.lead)
			if w != nil {
				w.Late()
			}
		}
	default: // nothing was done since
		c.watching.Store(false)
		if c.turn.Load() == turn || !c.watching.CompareAndSwap(false, true) {
			c.tasks.Done()
			return
		}
	}
	c.seen = turn
	c.watch.Reset(lookEvery)
}

// replace ends the lead of a leader that is still at turn, and returns the Work that it does. A
// leader that finds itself replaced knows all that lost has changed once it has held mu.
func (c *crew) replace(turn uint64) (w Work, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.end(turn) {
		return nil, false
	}
	c.leader.over = true
	c.leader = &leader{crew: c}
	c.lost()
	return c.now, true
}

// hands do Work that may take long, each on a goroutine for which nobody waits. Who is done takes what the next has not begun
// with, who then finds nothing to do and ends: so only few stacks grow. That was 10 % of fan-outs to rooms of 10.
type hands struct {
	tasks *sync.WaitGroup

	mu    sync.Mutex
	queue workQueue
}

func (h *hands) do(w Work) {
	h.mu.Lock()
	h.queue.push(w)
	h.mu.Unlock()
	h.tasks.Go(h.run) // one for each Work, should all block
}

func (h *hands) run() {
	for w := h.next(); w != nil; w = h.next() {
		w.Do(false)
	}
}

func (h *hands) next() Work {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.queue.pop()
}

// workQueue is what waits, oldest first.
type workQueue struct {
	list  []Work // of which so many were taken
	taken int
}

func (q *workQueue) len() int { return len(q.list) - q.taken }

func (q *workQueue) push(w Work) {
	if len(q.list) == cap(q.list) && q.taken > len(q.list)/2 { // what was taken makes room
		n := copy(q.list, q.list[q.taken:])
		clear(q.list[n:])
		q.list, q.taken = q.list[:n], 0
	}
	q.list = append(q.list, w)
}

// keepWork is the largest array that an empty queue keeps.
const keepWork = 1 << 10

// pop takes the oldest; nil: nothing waits.
func (q *workQueue) pop() Work {
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
