package directory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// trips records the batches of a writer. A trip to a place in frozen doesn't end before it's
// thawed.
type trips struct {
	mu     sync.Mutex
	sent   map[string][]int // sizes by place
	frozen map[string]chan struct{}
}

func (r *trips) send(_ context.Context, batch []write) {
	at := placeOf(batch[0].key)
	r.mu.Lock()
	r.sent[at] = append(r.sent[at], len(batch))
	frozen := r.frozen[at]
	r.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
	for _, wr := range batch {
		if placeOf(wr.key) != at {
			panic("writes of two places share a trip")
		}
		if wr.done != nil {
			close(wr.done)
		}
	}
}

func (r *trips) of(at string) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sent[at])
}

func placeOf(key string) string {
	at, _, _ := strings.Cut(key, "-")
	return at
}

func newTrips(frozen ...string) (*trips, *writer) {
	r := &trips{sent: make(map[string][]int), frozen: make(map[string]chan struct{})}
	for _, at := range frozen {
		r.frozen[at] = make(chan struct{})
	}
	return r, newWriter(r.send, func(sid string) string { return sid }, placeOf)
}

func (r *trips) thaw(at string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.frozen[at])
	delete(r.frozen, at)
}

// TestFrozenPlaceHoldsOnlyItsWrites: trips to the other places go on, and what waits for the frozen
// one is bounded.
func TestFrozenPlaceHoldsOnlyItsWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newTrips("b")
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.run(ctx) })
		held := write{sid: "b-0", done: make(chan struct{})}
		w.push(held)
		synctest.Wait() // its trip is under way, with nothing else
		for i := range 100 {
			for _, at := range []string{"a", "c"} {
				wr := write{sid: fmt.Sprint(at, "-", i), done: make(chan struct{})}
				w.push(wr)
				<-wr.done // or synctest finds everybody blocked
			}
		}
		select {
		case <-held.done:
			t.Error("the frozen place has answered")
		default:
		}
		for i := range queueMost {
			if !w.push(write{sid: fmt.Sprint("b-", i)}) {
				t.Fatalf("%d writes are too many", i)
			}
		}
		if w.push(write{sid: "b-more"}) {
			t.Error("the queue has no bound")
		}
		synctest.Wait()
		if got := r.of("b"); len(got) != 1 {
			t.Errorf("%d trips to the frozen place", len(got))
		}
		r.thaw("b")
		<-held.done
		synctest.Wait()
		total := 0
		for _, n := range r.of("b") {
			if total += n; n > batchMost {
				t.Errorf("%d writes in one trip", n)
			}
		}
		if total != queueMost+1 {
			t.Errorf("%d writes went out of %d", total, queueMost+1)
		}
		cancel()
		running.Wait()
	})
}

// TestWriterSendsTheRestAtItsEnd: what waits for a trip's end, too.
func TestWriterSendsTheRestAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := newTrips("b")
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.run(ctx) })
		w.push(write{sid: "b-0", done: make(chan struct{})})
		synctest.Wait() // its trip is under way
		w.push(write{sid: "b-1"})
		w.push(write{sid: "a-0"}) // gathering
		cancel()
		synctest.Wait()
		r.thaw("b")
		running.Wait()
		if a, b := r.of("a"), r.of("b"); !slices.Equal(a, []int{1}) || !slices.Equal(b, []int{1, 1}) {
			t.Errorf("trips of %v and %v writes", a, b)
		}
	})
}
