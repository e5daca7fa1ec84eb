package inspect

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	joinTimeout = 3 * time.Second // that a joined source may take to answer
	lookEvery   = time.Second     // how often a tap looks for new sources
)

// Join returns a Source that asks all sources at once and puts their answers together. It calls
// sources for each question, and for a tap again and again: a tap follows sources that come later.
// A source is known by its equality.
//
// Rooms, namespaces and points of time of several sources are added up. Page.More may count a room
// once for each source.
func Join(sources func() []Source) Source { return &joined{sources} }

type joined struct{ sources func() []Source }

// gather asks all sources, and returns the answers in their order.
func gather[T any](ctx context.Context, j *joined, ask func(Source, context.Context) (T, error)) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	sources := j.sources()
	answers, errs := make([]T, len(sources)), make([]error, len(sources))
	var asking sync.WaitGroup
	for i, s := range sources {
		asking.Go(func() { answers[i], errs[i] = ask(s, ctx) })
	}
	asking.Wait()
	return answers, errors.Join(errs...)
}

// gatherPages asks for more rows than q wants: a room may be large only in sum.
func gatherPages[T any](ctx context.Context, j *joined, q Query, ask func(Source, context.Context, Query) (Page[T], error)) (all Page[T], err error) {
	q.Limit = MaxRows
	pages, err := gather(ctx, j, func(s Source, ctx context.Context) (Page[T], error) { return ask(s, ctx, q) })
	return concat(pages), err
}

// concat returns all rows in one page.
func concat[T any](pages []Page[T]) (all Page[T]) {
	for _, p := range pages {
		all.Rows, all.More = append(all.Rows, p.Rows...), all.More+p.More
	}
	return all
}

// Samples has one sample of each process: apps of a host share some.
func (j *joined) Samples(ctx context.Context) ([]Sample, error) {
	all, err := gather(ctx, j, Source.Samples)
	type process struct {
		host string
		identity
	}
	seen := map[process]bool{}
	return slices.DeleteFunc(slices.Concat(all...), func(s Sample) bool {
		of := process{s.Host, identityOf(&s.Process)}
		again := seen[of]
		seen[of] = true
		return again
	}), err
}

func (j *joined) History(ctx context.Context) ([]Point, error) {
	all, err := gather(ctx, j, Source.History)
	return addPoints(all), err
}

// addPoints adds up the points of each time. It leaves out the newest ones that not all hosts have
// yet.
func addPoints(all [][]Point) []Point {
	var newest, common time.Time
	for _, points := range all {
		if n := len(points); n > 0 && points[n-1].At.After(newest) {
			newest = points[n-1].At
		}
	}
	common = newest
	for _, points := range all {
		if n := len(points); n > 0 && points[n-1].At.Before(common) && newest.Sub(points[n-1].At) <= 2*sampleEvery {
			common = points[n-1].At
		}
	}
	sums := map[int64]Point{}
	for _, points := range all {
		for _, p := range points {
			at := p.At.UnixNano()
			if p.At.After(common) {
				continue
			}
			if sum, ok := sums[at]; ok {
				p = sum.plus(p)
			}
			sums[at] = p
		}
	}
	points := slices.SortedFunc(maps.Values(sums), func(a, b Point) int { return a.At.Compare(b.At) })
	return points[max(0, len(points)-keptPoints):]
}

// plus returns the sum of two points of one time.
func (p Point) plus(o Point) Point {
	p.Sessions += o.Sessions
	p.Polling += o.Polling
	p.Sockets += o.Sockets
	p.Relayed += o.Relayed
	p.EventsIn += o.EventsIn
	p.EventsOut += o.EventsOut
	p.BytesIn += o.BytesIn
	p.BytesOut += o.BytesOut
	p.Errors += o.Errors
	p.Failures += o.Failures
	p.CPU += o.CPU
	p.Memory += o.Memory
	for i, n := range o.Latency {
		p.Latency[i] += n
	}
	p.Redis = max(p.Redis, o.Redis)
	return p
}

func (j *joined) Namespaces(ctx context.Context) ([]Namespace, error) {
	all, err := gather(ctx, j, Source.Namespaces)
	return addNamespaces(all), err
}

func addNamespaces(all [][]Namespace) []Namespace {
	sums := map[string]Namespace{}
	for _, n := range slices.Concat(all...) {
		sum := sums[n.Name]
		sums[n.Name] = Namespace{n.Name, sum.Sockets + n.Sockets, max(sum.Rooms, n.Rooms), sum.EventsIn + n.EventsIn, sum.EventsOut + n.EventsOut}
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b Namespace) int { return strings.Compare(a.Name, b.Name) })
}

func (j *joined) Rooms(ctx context.Context, q Query) (Page[Room], error) {
	all, err := gatherPages(ctx, j, q, Source.Rooms)
	return addRooms(q, all), err
}

func addRooms(q Query, all Page[Room]) Page[Room] {
	type key struct{ namespace, name string }
	sums := map[key]int{}
	for _, r := range all.Rows {
		sums[key{r.Namespace, r.Name}] += r.Sockets
	}
	all.Rows = all.Rows[:0]
	for k, n := range sums {
		all.Rows = append(all.Rows, Room{k.namespace, k.name, n})
	}
	return RoomPage(q, all.Rows, all.More)
}

func (j *joined) Clients(ctx context.Context, q Query) (Page[Client], error) {
	all, err := gatherPages(ctx, j, q, Source.Clients)
	return ClientPage(q, all.Rows, all.More), err
}

func (j *joined) Ended(ctx context.Context, q Query) (Page[Ended], error) {
	all, err := gatherPages(ctx, j, q, Source.Ended)
	return newestFirst(q, all, func(e Ended) time.Time { return e.At }), err
}

func (j *joined) Decisions(ctx context.Context, q Query) (Page[Decision], error) {
	all, err := gatherPages(ctx, j, q, Source.Decisions)
	return newestFirst(q, all, func(d Decision) time.Time { return d.At }), err
}

// RoomPage sorts rooms as q says, which changes rows, and cuts the page. More rows exist elsewhere.
func RoomPage(q Query, rows []Room, more int) Page[Room] {
	slices.SortFunc(rows, func(a, b Room) int {
		byName := cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
		if q.Sort == "name" {
			return byName
		}
		return cmp.Or(cmp.Compare(b.Sockets, a.Sockets), byName)
	})
	p := Page[Room]{rows, more}
	p.cut(q.Rows())
	return p
}

// ClientPage sorts clients as q says, which changes rows, and cuts the page: the newest first, or
// those with the longest queue or most events. More rows exist elsewhere.
func ClientPage(q Query, rows []Client, more int) Page[Client] {
	slices.SortFunc(rows, func(a, b Client) int {
		order := b.Connected.Compare(a.Connected)
		switch q.Sort {
		case "queue":
			order = cmp.Or(cmp.Compare(b.Queue, a.Queue), order)
		case "events":
			order = cmp.Or(cmp.Compare(b.EventsIn+b.EventsOut, a.EventsIn+a.EventsOut), order)
		}
		return cmp.Or(order, strings.Compare(a.Socket, b.Socket))
	})
	p := Page[Client]{rows, more}
	p.cut(q.Rows())
	return p
}

func newestFirst[T any](q Query, p Page[T], at func(T) time.Time) Page[T] {
	slices.SortStableFunc(p.Rows, func(a, b T) int { return at(b).Compare(at(a)) })
	p.cut(q.Rows())
	return p
}

// cut leaves at most so many rows.
func (p *Page[T]) cut(most int) {
	if n := len(p.Rows); n > most {
		p.Rows, p.More = p.Rows[:most:most], p.More+n-most
	}
}

// Tap taps all sources until ctx ends.
func (j *joined) Tap(ctx context.Context, q Query, f func(Event)) error {
	if err := q.Check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var taps sync.WaitGroup
	defer taps.Wait()
	defer cancel()
	var calling sync.Mutex
	one := func(e Event) {
		calling.Lock()
		defer calling.Unlock()
		if ctx.Err() == nil {
			f(e)
		}
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	tapped := map[Source]bool{}
	for {
		now := j.sources()
		for _, s := range now {
			if !tapped[s] {
				tapped[s] = true
				taps.Go(func() { _ = s.Tap(ctx, q, one) }) // one that can't be tapped has no events
			}
		}
		maps.DeleteFunc(tapped, func(s Source, _ bool) bool { return !slices.Contains(now, s) })
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
