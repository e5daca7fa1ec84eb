package directory

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Table is all workers and routers at one moment. It never changes; all of it may be read concurrently and kept.
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

// Version grows with every change.
func (t *Table) Version() uint64 { return t.version }

// Get returns the worker of that id, lost ones included, or nil.
func (t *Table) Get(id string) *Worker { return t.byID[id] }

// Leaves tells whether a worker drains, or has drained and left in the last 5 s: who sends something to a session there may not
// have heard of its end.
func (t *Table) Leaves(id string) bool {
	if w := t.byID[id]; w != nil {
		return w.State == StateDraining
	}
	until, ok := t.left[id]
	return ok && time.Now().Before(until)
}

// All returns every worker by host, slot and id. The slice and what it points to are not to be changed.
func (t *Table) All() []*Worker { return t.workers }

// Ready returns the workers that take new sessions, in the order of All. Not to be changed.
func (t *Table) Ready() []*Worker { return t.ready }

// Routers returns every router whose record is there. Not to be changed.
func (t *Table) Routers() []*Router { return t.routers }
