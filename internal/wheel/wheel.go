// Package wheel is a hierarchical timing wheel: very many timers on one goroutine and one runtime
// timer.
//
// A Timer is a field of its owner, so scheduling allocates nothing. It takes a short lock, whatever
// the number of timers. Precision is one tick, rounded up: a timer never expires early. While
// nothing is due, the wheel sleeps until the next occupied slot.
//
// Schedule, Stop and Active may be called concurrently and from within Expire. Timers expire only
// while Run runs.
package wheel

import (
	"context"
	"math/bits"
	"sync"
	"time"
)

// Slots of level n are 64^n ticks wide. The levels must reach further than any process lives, since
// the wheel doesn't turn over. With a tick of 0.1 ms eight levels reach 890 years; six reach 80
// days.
const (
	levelBits = 6
	perLevel  = 1 << levelBits
	levels    = 8
	horizon   = 1<<(levelBits*levels) - 1
)

// Expirer is called when a timer is due: on the wheel's goroutine, one timer at a time, without a
// lock. It must not block.
//
// Stop and Schedule can't cancel an expiry that has begun. An owner that reschedules concurrently
// guards the timer with its own lock, takes the lock in Expire, and asks Active whether the timer
// was set again.
type Expirer interface{ Expire(t *Timer) }

// Func makes an Expirer of a function.
type Func func()

// Expire calls f.
func (f Func) Expire(*Timer) { f() }

// Timer is one deadline. Set Owner before the first use, and don't change it while the timer is
// active. A used Timer must not be copied.
type Timer struct {
	Owner Expirer

	// under Wheel.mu
	next, prev *Timer
	when       uint64 // in ticks; what slot it hangs in follows from it and level
	level      int8   // levels: due, waiting to be called
	active     bool
}

// Wheel holds timers. Its methods may be called concurrently. Run may be called once.
type Wheel struct {
	tick  time.Duration
	start time.Time
	wake  chan struct{} // something is due before sleep

	mu       sync.Mutex
	now      uint64 // in ticks since start; all that was due by then has been taken out
	sleep    uint64 // Run sleeps until this tick
	slots    [levels][perLevel]*Timer
	occupied [levels]uint64 // a bit for each slot that is not empty
	due      *Timer         // taken out, not yet called; linked as a ring, oldest first
}

// New makes a wheel whose timers are precise to one tick, which must be above 0.
func New(tick time.Duration) *Wheel {
	return &Wheel{tick: tick, start: time.Now(), wake: make(chan struct{}, 1), sleep: ^uint64(0)}
}

// Schedule makes t expire after d and replaces an earlier deadline. A d of 0 or less is one tick.
func (w *Wheel) Schedule(t *Timer, d time.Duration) {
	w.mu.Lock()
	w.scheduleLocked(t, time.Since(w.start)+max(d, 0))
}

// maxLate is the delay that Continue makes up for. A longer one isn't a busy machine but a process
// that didn't run.
const maxLate = 50 * time.Millisecond

// Continue is Schedule for a timer that has expired. d counts from when the timer was due, not from
// when it was called, so that the delays of a chain don't add up.
func (w *Wheel) Continue(t *Timer, d time.Duration) {
	w.mu.Lock()
	from := time.Since(w.start)
	if due := time.Duration(t.when) * w.tick; from-due < maxLate {
		from = min(from, due)
	}
	w.scheduleLocked(t, from+max(d, 0))
}

// scheduleLocked makes t expire at a time since start, and unlocks.
func (w *Wheel) scheduleLocked(t *Timer, at time.Duration) {
	when := uint64((at + w.tick - 1) / w.tick)
	w.removeLocked(t)
	t.when = min(max(when, w.now+1), w.now+horizon)
	w.insertLocked(t)
	early := t.when < w.sleep
	w.mu.Unlock()
	if early {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// Stop prevents t from expiring. It reports whether t was set.
func (w *Wheel) Stop(t *Timer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.removeLocked(t)
}

// Active reports whether t is set and its Expire has not begun.
func (w *Wheel) Active(t *Timer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return t.active
}

// Overdue reports whether t is due and its Expire has not begun: the wheel may be late on a busy
// machine.
func (w *Wheel) Overdue(t *Timer) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return t.active && uint64(time.Since(w.start)/w.tick) >= t.when
}

// Run calls the timers that are due until ctx ends. It then returns nil.
func (w *Wheel) Run(ctx context.Context) error {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		next, any := w.advance(uint64(time.Since(w.start) / w.tick))
		if any {
			alarm.Reset(time.Until(w.start.Add(time.Duration(next) * w.tick)))
		} else {
			alarm.Stop()
		}
		select {
		case <-alarm.C:
		case <-w.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// advance calls all timers that are due at tick to. It returns the tick at which the next slot
// begins.
func (w *Wheel) advance(to uint64) (next uint64, any bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		level, slot, at := w.nextLocked()
		if level < 0 || at > to {
			w.now = max(w.now, to)
			w.sleep = at
			return at, level >= 0
		}
		w.now = at
		w.emptyLocked(level, slot)
		for t := w.due; t != nil; t = w.due {
			w.removeLocked(t)
			w.mu.Unlock()
			t.Owner.Expire(t)
			w.mu.Lock()
		}
	}
}

// nextLocked finds the earliest occupied slot and the tick at which it begins. A timer hangs at the
// level of the highest digit in which it differs from now, so the lowest level holds the earliest,
// and no slot is behind now.
func (w *Wheel) nextLocked() (level, slot int, at uint64) {
	for level = range levels {
		if b := w.occupied[level]; b != 0 {
			slot = bits.TrailingZeros64(b)
			shift := uint(levelBits * level)
			at = w.now>>(shift+levelBits)<<(shift+levelBits) | uint64(slot)<<shift
			return level, slot, at
		}
	}
	return -1, 0, ^uint64(0)
}

// emptyLocked moves a slot's timers to finer levels, or to due. A ring is walked from its oldest
// timer, so that timers of one tick expire in the order in which they were set.
func (w *Wheel) emptyLocked(level, slot int) {
	for t := w.slots[level][slot]; t != nil; t = w.slots[level][slot] {
		w.removeLocked(t)
		w.insertLocked(t)
	}
}

func (w *Wheel) insertLocked(t *Timer) {
	t.active = true
	head := &w.due
	t.level = levels
	if t.when > w.now {
		t.level = int8(min((bits.Len64(t.when^w.now)-1)/levelBits, levels-1))
		slot := t.slot()
		head = &w.slots[t.level][slot]
		w.occupied[t.level] |= 1 << slot
	}
	if *head == nil {
		*head, t.next, t.prev = t, t, t
		return
	}
	first := *head
	t.next, t.prev = first, first.prev
	first.prev.next, first.prev = t, t
}

func (w *Wheel) removeLocked(t *Timer) bool {
	if !t.active {
		return false
	}
	head := &w.due
	if t.level < levels {
		head = &w.slots[t.level][t.slot()]
	}
	if t.next == t {
		*head = nil
		if t.level < levels {
			w.occupied[t.level] &^= 1 << t.slot()
		}
	} else {
		t.next.prev, t.prev.next = t.prev, t.next
		if *head == t {
			*head = t.next
		}
	}
	t.next, t.prev, t.active = nil, nil, false
	return true
}

// slot returns t's position in its level.
func (t *Timer) slot() uint64 { return t.when >> (levelBits * uint(t.level)) & (perLevel - 1) }
