package directory

import (
	"context"
	"sync"
	"time"
)

const (
	queueMost    = 1 << 14 // for one node
	batchMost    = 512
	writeTimeout = 3 * time.Second
	// gathering is the time in which writes that nobody waits for share one trip to Redis. A trip
	// for each session was a third of the cost of a short one, in router and Redis.
	gathering = 10 * time.Millisecond
)

// write is a key that must be written.
type write struct {
	sid, owner string
	key        string // of sid; set by push
	ttl        time.Duration
	done       chan struct{} // closed when Redis has answered or failed; nil: nobody waits
}

// writer sends all writes of sids through pipelines, one at a time for each node of a Redis
// Cluster, so that a frozen node holds up only its own sids. Writes that arrive during a trip to
// Redis share the next trip. While Redis is away the writer queues nothing, because the cache keeps
// all entries, and marks those that were never written.
type writer struct {
	send  func(ctx context.Context, batch []write) // settles each write
	key   func(sid string) string
	place func(key string) string // names the cluster node that has the key

	wake    chan struct{}
	hurry   chan struct{} // somebody waits
	flights sync.WaitGroup

	mu    sync.Mutex            // guards the rest
	lanes map[string]*writeLane // by place
}

// writeLane has the writes for one place.
type writeLane struct {
	queue  []write
	flying bool // a goroutine sends them
}

func newWriter(send func(ctx context.Context, batch []write), key, place func(string) string) *writer {
	return &writer{
		send: send, key: key, place: place,
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		lanes: make(map[string]*writeLane),
	}
}

// push queues wr. It returns false if too many wait for the same place.
func (w *writer) push(wr write) bool {
	wr.key = w.key(wr.sid)
	at := w.place(wr.key)
	w.mu.Lock()
	of := w.lanes[at]
	if of == nil {
		of = &writeLane{}
		w.lanes[at] = of
	}
	if len(of.queue) >= queueMost {
		w.mu.Unlock()
		return false
	}
	of.queue = append(of.queue, wr)
	w.mu.Unlock()
	if wr.done != nil {
		kick(w.hurry)
	}
	kick(w.wake)
	return true
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run writes until ctx ends, and then once more what is queued.
func (w *writer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-w.wake:
			w.gather(ctx)
			w.launch(ctx, context.WithoutCancel(ctx))
		}
	}
	w.flights.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	w.launch(last, last)
	w.flights.Wait()
	return nil
}

// gather waits for further writes, unless somebody waits for one.
func (w *writer) gather(ctx context.Context) {
	t := time.NewTimer(gathering)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.hurry:
	case <-ctx.Done():
	}
}

// launch begins to send the writes of each lane, unless that is under way, until there are none or
// ctx ends. Each trip has the context trip.
func (w *writer) launch(ctx, trip context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at, of := range w.lanes {
		if !of.flying {
			of.flying = true
			w.flights.Go(func() {
				for batch := w.take(ctx, at, of); len(batch) > 0; batch = w.take(ctx, at, of) {
					w.send(trip, batch)
				}
			})
		}
	}
}

// take returns the next writes of a lane, or nothing at the end of its flight.
func (w *writer) take(ctx context.Context, at string, of *writeLane) []write {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(of.queue), batchMost)
	if n == 0 {
		delete(w.lanes, at)
	}
	if n == 0 || ctx.Err() != nil {
		of.flying = false
		return nil
	}
	batch := of.queue[:n:n]
	of.queue = of.queue[n:]
	return batch
}
