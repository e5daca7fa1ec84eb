package directory

import (
	"context"
	"sync"
	"time"
)

const (
	// openingsSlot times openingsSlots is how long openings count.
	openingsSlot  = 500 * time.Millisecond
	openingsSlots = 8
	// openingsLeast is how many sessions of a router are worth telling, and how many it must have
	// opened to compare itself with the others.
	openingsLeast = 32
	// openingsMost bounds what one event may tell.
	openingsMost = 1 << 20
	// A router tells its openings every openingsPace at most, and more seldom among many: each
	// hears of all.
	openingsPace      = 100 * time.Millisecond
	openingsPerRouter = 2 * time.Millisecond
)

// openings counts the sessions that routers opened in the last seconds: this one's own, and those
// that others told.
type openings struct {
	id  string        // of this directory, which hears its own events
	due chan struct{} // there is enough to tell

	mu     sync.Mutex // guards the rest
	now    int64      // the newest slot
	first  int64      // the slot of the first own opening since there were none
	slots  [openingsSlots]struct{ own, others int }
	untold int
}

func newOpenings() *openings {
	return &openings{id: randomText(8), due: make(chan struct{}, 1)}
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

// heard counts sessions that another router opened.
func (o *openings) heard(from string, n int, at int64) {
	if from == o.id || n <= 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slotLocked(at).others += min(n, openingsMost)
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
	if own < openingsLeast || o.now == o.first {
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

// Opened notes that this router opened a session. The directory tells the other routers' now and
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

// announceOpenings tells the other routers about this one's new sessions.
func (d *Directory) announceOpenings(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.openings.due:
		}
		saying, cancel := context.WithTimeout(ctx, lookTimeout)
		err := d.client.Publish(saying, d.keys.events(), encode(opened{d.openings.id, d.openings.take()})).Err()
		cancel()
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.Debug("opened sessions not announced", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(openingsPace, time.Duration(len(d.Workers().Routers()))*openingsPerRouter)):
		}
	}
}
