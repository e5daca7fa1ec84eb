package inspect

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func joinAll(sources ...Source) Source { return Join(func() []Source { return sources }) }

func TestJoinAddsUp(t *testing.T) {
	at := time.Unix(1000, 0).UTC()
	one := &facts{
		samples:    []Sample{{Process: Process{Name: "worker-1"}, Sessions: 1}},
		points:     []Point{{At: at, Sessions: 1, EventsIn: 2, Redis: 1, Latency: Histogram{1}}, {At: at.Add(5 * time.Second), Sessions: 9}},
		namespaces: []Namespace{{"/", 1, 5, 10, 20}, {"/b", 1, 1, 0, 0}},
		rooms:      []Room{{"/", "both", 2}, {"/", "mine", 3}},
		clients:    []Client{{Socket: "a", Connected: at, Queue: 5}, {Socket: "b", Connected: at.Add(2)}},
		ended:      []Ended{{SID: "old", At: at}, {SID: "new", At: at.Add(9)}},
	}
	two := &facts{
		samples:    []Sample{{Process: Process{Name: "worker-2"}, Sessions: 2}},
		points:     []Point{{At: at, Sessions: 4, EventsIn: 1, Redis: 7, Latency: Histogram{1, 1}}, {At: at.Add(5 * time.Second), Sessions: 1}, {At: at.Add(10 * time.Second)}},
		namespaces: []Namespace{{"/", 2, 3, 1, 2}},
		rooms:      []Room{{"/", "both", 2}},
		clients:    []Client{{Socket: "c", Connected: at.Add(1), Queue: 9}},
		ended:      []Ended{{SID: "middle", At: at.Add(5)}},
	}
	j, ctx := joinAll(one, two), t.Context()
	same := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil || asJSON(t, got) != asJSON(t, want) {
			t.Errorf("%s: %s %v\nwant %s", what, asJSON(t, got), err, asJSON(t, want))
		}
	}
	samples, err := j.Samples(ctx)
	same("samples", samples, err, []Sample{one.samples[0], two.samples[0]})
	points, err := j.History(ctx)
	same("history", points, err, []Point{{At: at, Sessions: 5, EventsIn: 3, Redis: 7, Latency: Histogram{2, 1}}, {At: at.Add(5 * time.Second), Sessions: 10}})
	namespaces, err := j.Namespaces(ctx)
	same("namespaces", namespaces, err, []Namespace{{"/", 3, 5, 11, 22}, {"/b", 1, 1, 0, 0}})
	rooms, err := j.Rooms(ctx, Query{Limit: 1})
	same("rooms", rooms, err, Page[Room]{[]Room{{"/", "both", 4}}, 1})
	rooms, err = j.Rooms(ctx, Query{Sort: "name"})
	same("rooms by name", rooms, err, Page[Room]{[]Room{{"/", "both", 4}, {"/", "mine", 3}}, 0})
	for sort, want := range map[string]string{"": "b c", "queue": "c a", "events": "b c"} {
		p, err := j.Clients(ctx, Query{Sort: sort, Limit: 2})
		if err != nil || p.More != 1 || p.Rows[0].Socket+" "+p.Rows[1].Socket != want {
			t.Errorf("clients by %q: %s, %v", sort, asJSON(t, p), err)
		}
	}
	ended, err := j.Ended(ctx, Query{})
	if err != nil || len(ended.Rows) != 3 || ended.Rows[0].SID != "new" || ended.Rows[2].SID != "old" {
		t.Errorf("ended: %s, %v", asJSON(t, ended), err)
	}
}

func TestJoinAnswersWithoutASlowSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := joinAll(&stuck{}, &facts{samples: []Sample{{Sessions: 3}}}, &facts{err: errAway})
		began := time.Now()
		got, err := j.Samples(t.Context())
		if len(got) != 1 || got[0].Sessions != 3 {
			t.Errorf("got %+v", got)
		}
		if err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) || !strings.Contains(err.Error(), errAway.Error()) {
			t.Errorf("errors: %v", err)
		}
		if took := time.Since(began); took != joinTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

// stuck answers nothing.
type stuck struct{ None }

func (*stuck) Samples(ctx context.Context) ([]Sample, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestJoinedTapFollowsNewSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := &facts{events: make(chan Event)}, &facts{events: make(chan Event)}
		var sources atomic.Pointer[[]Source]
		sources.Store(&[]Source{first, &None{}})
		j := Join(func() []Source { return *sources.Load() })
		ctx, leave := context.WithCancel(t.Context())
		got := make(chan string, 9)
		done := make(chan error)
		go func() { done <- j.Tap(ctx, Query{}, func(e Event) { got <- e.Name }) }()
		first.events <- Event{Name: "of the first"}
		sources.Store(&[]Source{first, second})
		second.events <- Event{Name: "of the second"}
		first.events <- Event{Name: "again"}
		synctest.Wait()
		if n := len(got); n != 3 {
			t.Errorf("%d events", n)
		}
		leave()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := j.Tap(t.Context(), Query{ID: "abc"}, nil); err == nil {
			t.Error("a query that nobody answers was taken")
		}
	})
}
