package directory

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Table is the workers and routers at one moment. It never changes, so that it can be kept and read
// concurrently.
type Table struct {
	version uint64
	byID    map[string]*Worker
	workers []*Worker
	ready   []*Worker
	routers []*Router
	left    map[string]time.Time
}

func newTable(version uint64, byID map[string]*Worker, routers []*Router, left map[string]time.Time) *Table {
	t := &Table{version: version, byID: byID, routers: routers, left: left}
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

// All returns every worker, ordered by host, slot and id. The caller must not change it.
func (t *Table) All() []*Worker { return t.workers }

// Ready returns the workers that take new sessions, in the order of All. The caller must not change
// it.
func (t *Table) Ready() []*Worker { return t.ready }

// Routers returns every router, ordered by host and id. The caller must not change it.
func (t *Table) Routers() []*Router { return t.routers }
