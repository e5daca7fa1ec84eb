package router

import (
	"context"
	"time"
)

// tick is how often a drain looks around.
const tick = 50 * time.Millisecond

// delay makes the router unready and serves on for DrainDelay, every response ending its
// connection, so that load balancers see it and move away before a connection is refused.
func (r *Router) delay(ctx context.Context) {
	r.draining.Store(true)
	r.log.Info("router drains", "delay_ms", r.cfg.DrainDelay.Milliseconds(), "connections", r.Connections())
	if r.cfg.DrainDelay <= 0 {
		return
	}
	select {
	case <-time.After(r.cfg.DrainDelay):
	case <-ctx.Done():
	}
}

// drain waits for the connections to end: idle ones at once, new ones with the answer to their
// first request, requests with their answer, relayed WebSockets at DrainRate, or faster where the
// time would not do. At the deadline it calls stop and cuts what is left.
func (r *Router) drain(stop context.CancelFunc) {
	deadline := time.Now().Add(r.cfg.ShutdownTimeout)
	t := time.NewTicker(tick)
	defer t.Stop()
	due := 0.0 // relays that may be closed now
	for now := time.Now(); now.Before(deadline); now = <-t.C {
		relays, left := r.conns.closeIdle()
		if left == 0 {
			break
		}
		ticks := max(float64(deadline.Sub(now)/tick)-2, 1)
		due += max(float64(r.cfg.DrainRate)*tick.Seconds(), float64(len(relays))/ticks)
		for ; due >= 1 && len(relays) > 0; due-- {
			relays[0].Cut()
			relays = relays[1:]
		}
	}
	r.cutting.Store(true) // HTTP/2 ends its requests with stop, as if their clients had left
	stop()
	cut := r.conns.cut()
	if cut > 0 {
		r.log.Warn("shutdown timeout reached; the router cut the remaining connections", "connections", cut)
	}
	r.conns.serving.Wait()
}
