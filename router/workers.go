package router

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// workers are the workers that the router has met, by id, until the directory has forgotten them
// and nobody asks for them any more.
type workers struct {
	r         *Router
	byID      sync.Map     // worker id -> *worker
	stopped   atomic.Bool  // they keep no connection any more
	untouched atomic.Bool  // one of this host takes untouched connections only
	keyWarned atomic.Int64 // Unix seconds
}

// of returns the worker that a record describes.
func (ws *workers) of(record *directory.Worker) *worker {
	for {
		old, ok := ws.byID.Load(record.ID)
		if ok && old.(*worker).up == record.Upstream {
			return old.(*worker)
		}
		w := &worker{r: ws.r, id: record.ID, up: record.Upstream, addr: record.Addr, host: record.Host, away: record.Upstream != nil, seen: time.Now()}
		if !ok {
			if now, loaded := ws.byID.LoadOrStore(record.ID, w); loaded {
				return now.(*worker)
			}
			return w
		}
		if ws.byID.CompareAndSwap(record.ID, old, w) { // it was forgotten and is listed again
			old.(*worker).close()
			return w
		}
	}
}

// linkLocal connects to the handoff sockets of this host's workers as they appear, until ctx ends.
// The first request of a worker then finds its way open. And the router knows in time that a worker
// takes untouched connections only, and doesn't read the first WebSocket for it.
func (ws *workers) linkLocal(ctx context.Context) {
	for {
		changed := ws.r.cfg.Directory.Changed()
		for _, w := range ws.r.cfg.Directory.Workers().Ready() {
			if w.Host == ws.r.cfg.HostName && ctx.Err() == nil {
				_, _ = ws.of(w).link(ctx) // what is wrong shows again when it is needed
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// gone tells everyone about a dead worker, once.
func (ws *workers) gone(w *worker) {
	r := ws.r
	r.metrics.upstreamError("gone")
	if !ws.byID.CompareAndDelete(w.id, w) {
		return
	}
	w.close()
	if r.cfg.Directory.Workers().Get(w.id) != nil {
		r.log.Warn("worker is gone", "worker", w.id, "host", w.host)
		r.cfg.Directory.WorkerGone(w.id)
	}
}

// keyRefused says, at most every 10 s, that another host's door did not accept our key.
func (ws *workers) keyRefused(w *worker) {
	ws.r.metrics.upstreamError("key")
	if seldom(&ws.keyWarned) {
		ws.r.log.Error("another host's router refused our key; both hosts must use the same Redis and the same app name", "worker", w.id, "addr", w.addr)
	}
}

// tidy closes what is idle for too long at that time, or all that is idle.
func (ws *workers) tidy(now time.Time, all bool) {
	table := ws.r.cfg.Directory.Workers()
	ws.byID.Range(func(id, v any) bool {
		w, then := v.(*worker), now
		if !all {
			then = now.Add(-w.keeps())
		}
		if w.tidy(then, table.Get(id.(string)) != nil) && ws.byID.CompareAndDelete(id, v) {
			w.close()
		}
		return true
	})
}

// close closes all that is open to them.
func (ws *workers) close() {
	ws.byID.Range(func(_, w any) bool {
		w.(*worker).close()
		return true
	})
}

// dial connects to the handoff socket of a worker of this host.
func (ws *workers) dial(ctx context.Context, id string) (*handoff.Sender, error) {
	return handoff.Dial(ctx, filepath.Join(ws.r.cfg.RuntimeDir, id+".sock"), id)
}
