package directory

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// openingsSlot times openingsSlots is how long openings count.
	openingsSlot  = 500 * time.Millisecond
	openingsSlots = 8
	// openingsLeast is how many sessions of a router are worth telling, and how many it must have
	// opened to compare itself with the others.
	openingsLeast = 32
	// openingsMost bounds what one answer may tell.
	openingsMost = 1 << 20
	// A router tells its openings every openingsPace at most, and more seldom among many. It asks
	// for the others' in each slot while it opens sessions, and every 2 s else.
	openingsPace      = 100 * time.Millisecond
	openingsPerRouter = 500 * time.Microsecond
)

// openings counts the sessions that all routers open. They add theirs to one counter in Redis,
// whose answer has everybody's: an event for each router would cost the square of their number.
type openings struct {
	*app
	routers func() int // how many there are
	lately  *openWindow
}

func newOpenings(a *app, routers func() int) *openings {
	return &openings{a, routers, newOpenWindow()}
}

// openWindow counts the sessions that routers opened in the last seconds: this one's own, and those
// that others told.
type openWindow struct {
	due chan struct{} // there is enough to tell

	mu     sync.Mutex // guards the rest
	now    int64      // the newest slot
	first  int64      // the slot of the first own opening since there were none
	slots  [openingsSlots]struct{ own, others int }
	untold int
	total  int64 // of the counter, at a time
	asked  int64
	known  bool
}

func newOpenWindow() *openWindow {
	return &openWindow{due: make(chan struct{}, 1)}
}

// slotLocked returns the slot of a time, and empties those that have passed.
func (w *openWindow) slotLocked(at int64) *struct{ own, others int } {
	now := at / int64(openingsSlot)
	for n := max(w.now+1, now-openingsSlots+1); n <= now; n++ {
		w.slots[n%openingsSlots] = struct{ own, others int }{}
	}
	w.now = max(w.now, now)
	return &w.slots[w.now%openingsSlots]
}

// opened counts a session that this router opened.
func (w *openWindow) opened(at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slotLocked(at)
	if own, _ := w.sumLocked(); own == 0 {
		w.first = w.now
	}
	s.own++
	if w.untold++; w.untold >= openingsLeast {
		select {
		case w.due <- struct{}{}:
		default:
		}
	}
}

// counted is the counter's answer to n sessions of this router. The rest of its growth is others'.
// After a long time it isn't known when they opened theirs.
func (w *openWindow) counted(n int, total, at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.slotLocked(at)
	if grown := total - w.total - int64(n); w.known && grown > 0 && at-w.asked < openingsSlots*int64(openingsSlot) {
		s.others += int(min(grown, openingsMost))
	}
	w.total, w.asked, w.known = total, at, true
}

// unheard puts back what Redis didn't count.
func (w *openWindow) unheard(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.untold += n
	w.known = false
}

// opens reports whether this router opened sessions lately.
func (w *openWindow) opens(at int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slotLocked(at)
	own, _ := w.sumLocked()
	return own > 0
}

func (w *openWindow) sumLocked() (own, others int) {
	for _, s := range w.slots {
		own, others = own+s.own, others+s.others
	}
	return own, others
}

// ratio returns how many sessions all routers opened for each of this one, or 0 if it opened too
// few, or began too short a time ago to have heard of the others'. It counts as many for each of
// the others as that may not have told yet.
func (w *openWindow) ratio(at int64, others int) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slotLocked(at)
	own, told := w.sumLocked()
	if own < openingsLeast || w.now == w.first || !w.known {
		return 0
	}
	return 1 + float64(told+others*openingsLeast)/float64(own)
}

// take returns what is to be told.
func (w *openWindow) take() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.untold
	w.untold = 0
	return n
}

// opened counts a session of this router: see [Directory.Opened].
func (o *openings) opened() { o.lately.opened(o.now()) }

// ratio answers [Directory.OpenedRatio].
func (o *openings) ratio() float64 {
	if !o.conn.Up() {
		return 0
	}
	return o.lately.ratio(o.now(), max(o.routers()-1, 0))
}

// run adds this router's new sessions to the counter, and learns of the others', until ctx ends.
func (o *openings) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.lately.due:
		case <-timer.C:
		}
		if o.conn.Up() {
			o.count(ctx, o.lately.take())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(openingsPace, time.Duration(o.routers())*openingsPerRouter)):
		}
		next := lookEvery
		if o.lately.opens(o.now()) {
			next = openingsSlot
		}
		timer.Reset(next)
	}
}

func (o *openings) count(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	total, err := o.client.IncrBy(ctx, o.keys.opened(), int64(n)).Result()
	if err == nil {
		o.lately.counted(n, total, o.now())
		return
	}
	o.lately.unheard(n)
	var answer redis.Error
	if errors.As(err, &answer) && (wrongType(err) || strings.Contains(answer.Error(), "not an integer")) {
		err = errors.Join(err, o.client.Del(ctx, o.keys.opened()).Err()) // it's ours: begin anew
	}
	if ctx.Err() == nil {
		o.log.Debug("opened sessions not counted", "error", err)
	}
}
