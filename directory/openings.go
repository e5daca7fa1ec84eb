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

// openings counts the sessions that routers opened in the last seconds: this one's own, and those
// that others told. All add theirs to one counter in Redis, whose answer has everybody's: an event for
// each router would cost the square of their number.
type openings struct {
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

func newOpenings() *openings {
	return &openings{due: make(chan struct{}, 1)}
}

// slotLocked returns the slot of a time, and empties those that have passed.
func (o *openings) slotLocked(at int64) *struct{ own, others int } {
	now := at / int64(openingsSlot)
	for n := max(o.now+1, now-openingsSlots+1); n <= now; n++ {
		o.slots[n%openingsSlots] = struct{ own, others int }{}
	}
	o.now = max(o.now, now)
	return &o.slots[o.now%openingsSlots]
}

// opened counts a session that this router opened.
func (o *openings) opened(at int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.slotLocked(at)
	if own, _ := o.sumLocked(); own == 0 {
		o.first = o.now
	}
	s.own++
	if o.untold++; o.untold >= openingsLeast {
		select {
		case o.due <- struct{}{}:
		default:
		}
	}
}

// counted is the counter's answer to n sessions of this router. The rest of its growth is others'.
// After a long time it isn't known when they opened theirs.
func (o *openings) counted(n int, total, at int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.slotLocked(at)
	if grown := total - o.total - int64(n); o.known && grown > 0 && at-o.asked < openingsSlots*int64(openingsSlot) {
		s.others += int(min(grown, openingsMost))
	}
	o.total, o.asked, o.known = total, at, true
}

// unheard puts back what Redis didn't count.
func (o *openings) unheard(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.untold += n
	o.known = false
}

// opens reports whether this router opened sessions lately.
func (o *openings) opens(at int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slotLocked(at)
	own, _ := o.sumLocked()
	return own > 0
}

func (o *openings) sumLocked() (own, others int) {
	for _, s := range o.slots {
		own, others = own+s.own, others+s.others
	}
	return own, others
}

// ratio returns how many sessions all routers opened for each of this one, or 0 if it opened too
// few, or began too short a time ago to have heard of the others'. It counts as many for each of
// the others as that may not have told yet.
func (o *openings) ratio(at int64, others int) float64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slotLocked(at)
	own, told := o.sumLocked()
	if own < openingsLeast || o.now == o.first || !o.known {
		return 0
	}
	return 1 + float64(told+others*openingsLeast)/float64(own)
}

// take returns what is to be told.
func (o *openings) take() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.untold
	o.untold = 0
	return n
}

// Opened notes that this router opened a session. The directory tells the other routers now and
// then.
func (d *Directory) Opened() { d.openings.opened(d.now()) }

// OpenedRatio returns how many sessions all routers together opened in the last seconds for each
// session that this one opened. It is 0 if the directory doesn't know.
func (d *Directory) OpenedRatio() float64 {
	if !d.conn.Up() {
		return 0
	}
	return d.openings.ratio(d.now(), max(len(d.Workers().Routers())-1, 0))
}

// countOpenings adds this router's new sessions to the counter, and learns of the others'.
func (d *Directory) countOpenings(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.openings.due:
		case <-timer.C:
		}
		if d.conn.Up() {
			d.countOpened(ctx, d.openings.take())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(openingsPace, time.Duration(len(d.Workers().Routers()))*openingsPerRouter)):
		}
		next := lookEvery
		if d.openings.opens(d.now()) {
			next = openingsSlot
		}
		timer.Reset(next)
	}
}

func (d *Directory) countOpened(ctx context.Context, n int) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	total, err := d.client.IncrBy(ctx, d.keys.opened(), int64(n)).Result()
	if err == nil {
		d.openings.counted(n, total, d.now())
		return
	}
	d.openings.unheard(n)
	var answer redis.Error
	if errors.As(err, &answer) && (wrongType(err) || strings.Contains(answer.Error(), "not an integer")) {
		err = errors.Join(err, d.client.Del(ctx, d.keys.opened()).Err()) // it's ours: begin anew
	}
	if ctx.Err() == nil {
		d.cfg.Log.Debug("opened sessions not counted", "error", err)
	}
}
