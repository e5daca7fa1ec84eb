package router

import "context"

// meet connects to the handoff sockets of this host's workers as they appear, until ctx ends. The first request of a
// worker then finds its way open; and the first WebSocket for a worker that takes untouched connections only is not read
// before that is known.
func (r *Router) meet(ctx context.Context) {
	for {
		changed := r.cfg.Directory.Changed()
		for _, w := range r.cfg.Directory.Workers().Ready() {
			if w.Host == r.cfg.HostName && ctx.Err() == nil {
				_, _ = r.workerOf(w).link(ctx) // what is wrong shows again when it is needed
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
