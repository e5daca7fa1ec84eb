package directory

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	queueMost    = 1 << 14
	batchMost    = 512
	writeTimeout = 3 * time.Second
	retryWrites  = 200 * time.Millisecond
	// gathering is the time in which writes that nobody waits for share one trip to Redis. A trip
	// for each session was a third of the cost of a short one, in router and Redis.
	gathering = 10 * time.Millisecond
)

// write is a key that must be written.
type write struct {
	sid, owner string
	ttl        time.Duration
	done       chan struct{} // closed when Redis has answered or failed; nil: nobody waits
}

// writer sends all writes of sids through one pipeline at a time. Writes that arrive during a
// trip to Redis share the next trip. While Redis is away the writer queues nothing, because the
// cache keeps all entries, and marks those that were never written.
type writer struct {
	d     *Directory
	wake  chan struct{}
	hurry chan struct{} // somebody waits

	mu     sync.Mutex // guards the rest
	queue  []write
	behind bool // some cached entries were never written
	all    bool // every cached entry must be written again
}

func newWriter(d *Directory) *writer {
	return &writer{d: d, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1)}
}

// push queues w. If it can't, it returns false and the writer goes through the cache later.
func (w *writer) push(wr write) bool {
	w.mu.Lock()
	ok := len(w.queue) < queueMost && w.d.conn.Up()
	if ok {
		w.queue = append(w.queue, wr)
	} else {
		w.behind = true
		w.d.metrics.writes.WithLabelValues("delayed").Inc()
	}
	w.mu.Unlock()
	if wr.done != nil {
		kick(w.hurry)
	}
	kick(w.wake)
	return ok
}

// rewrite makes the writer write every cached entry again.
func (w *writer) rewrite() {
	w.mu.Lock()
	w.all = true
	w.mu.Unlock()
	kick(w.wake)
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
		changed := w.d.conn.Changed()
		if batch := w.take(); len(batch) > 0 {
			w.send(ctx, batch)
			continue
		}
		var again <-chan time.Time
		if w.d.conn.Up() && !w.catchUp(ctx) {
			again = time.After(retryWrites)
		}
		select {
		case <-ctx.Done():
		case <-w.wake:
			w.gather(ctx)
		case <-changed:
		case <-again:
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	for batch := w.take(); len(batch) > 0 && last.Err() == nil; batch = w.take() {
		w.send(last, batch)
	}
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

func (w *writer) take() []write {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), batchMost)
	batch := w.queue[:n:n]
	if w.queue = w.queue[n:]; len(w.queue) == 0 {
		w.queue = nil
	}
	return batch
}

// catchUp writes the cached entries that Redis doesn't have. It returns false if that failed and
// should be tried again.
func (w *writer) catchUp(ctx context.Context) bool {
	w.mu.Lock()
	all, behind := w.all, w.behind
	w.all, w.behind = false, false
	w.mu.Unlock()
	if !all && !behind {
		return true
	}
	ok := true
	var batch []write
	for i := range cacheShards {
		batch = w.d.cache.collect(i, all, batch[:0])
		for len(batch) > 0 && ok {
			n := min(len(batch), batchMost)
			ok = w.send(ctx, batch[:n])
			batch = batch[n:]
		}
	}
	if !ok {
		w.mu.Lock()
		w.all, w.behind = w.all || all, w.behind || behind
		w.mu.Unlock()
	}
	return ok
}

// send writes a batch in one trip to Redis and settles each write.
func (w *writer) send(ctx context.Context, batch []write) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	d := w.d
	pipe := d.client.Pipeline()
	for _, wr := range batch {
		pipe.Set(ctx, d.keys.sid(wr.sid), wr.owner, wr.ttl)
	}
	cmds, err := pipe.Exec(ctx) // in a cluster each command has its own result
	now, failed := d.now(), 0
	for i, wr := range batch {
		if failedCmd(cmds, i, err) {
			failed++
			d.cache.failed(wr.sid)
		} else {
			d.cache.wrote(wr.sid, now)
		}
		if wr.done != nil {
			close(wr.done)
		}
	}
	d.metrics.writes.WithLabelValues("failed").Add(float64(failed))
	d.metrics.writes.WithLabelValues("written").Add(float64(len(batch) - failed))
	if failed > 0 {
		d.conn.Doubt()
		w.mu.Lock()
		w.behind = true
		w.mu.Unlock()
	}
	return failed == 0
}

func failedCmd(cmds []redis.Cmder, i int, err error) bool {
	return err != nil && (i >= len(cmds) || cmds[i].Err() != nil)
}
