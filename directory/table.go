package directory

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Table is the workers and routers at one moment. It never changes, so that it can be kept and read
// concurrently.
type Table struct {
	byID    map[string]*Worker
	workers []*Worker
	ready   []*Worker
	routers []*Router
	left    map[string]time.Time
}

func newTable(byID map[string]*Worker, routers []*Router, left map[string]time.Time) *Table {
	t := &Table{byID: byID, routers: routers, left: left}
	t.workers = slices.SortedFunc(maps.Values(byID), func(a, b *Worker) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.ID, b.ID))
	})
	for _, w := range t.workers {
		if w.State == StateReady {
			t.ready = append(t.ready, w)
		}
	}
	slices.SortFunc(t.routers, func(a, b *Router) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.ID, b.ID))
	})
	return t
}

// Get returns the worker with an id, or nil. It also finds lost workers.
func (t *Table) Get(id string) *Worker { return t.byID[id] }

// Leaves reports whether a worker drains, or drained and left in the last 5 seconds. Clients of its
// sessions may not know yet that these have ended.
func (t *Table) Leaves(id string) bool {
	if w := t.byID[id]; w != nil {
		return w.State == StateDraining
	}
	until, ok := t.left[id]
	return ok && time.Now().Before(until)
}

// tagged returns the worker that sid begins with, if it is known and tags its sids.
func (t *Table) tagged(sid string) *Worker {
	if id, ok := workerOf(sid); ok {
		if w := t.byID[id]; w != nil && w.Tags {
			return w
		}
	}
	return nil
}

// All returns every worker, ordered by host, slot and id. The caller must not change it.
func (t *Table) All() []*Worker { return t.workers }

// Ready returns the workers that take new sessions, in the order of All. The caller must not change
// it.
func (t *Table) Ready() []*Worker { return t.ready }

// Routers returns every router, ordered by host and id. The caller must not change it.
func (t *Table) Routers() []*Router { return t.routers }

// published is the present Table, and a channel to wait for the next.
type published struct {
	table atomic.Pointer[Table]

	mu      sync.Mutex
	changed chan struct{} // closed when table changes; nil: nobody waits
}

// Workers returns the present Table, which is empty before the first publish.
func (p *published) Workers() *Table {
	if t := p.table.Load(); t != nil {
		return t
	}
	return &noTable
}

var noTable Table

// Changed returns a channel that is closed at the next publish.
func (p *published) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.changed
}

// publish replaces the Table. The caller has a lock, so that no older Table comes after a newer
// one.
func (p *published) publish(t *Table) {
	p.table.Store(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
}
