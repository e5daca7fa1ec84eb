package worker

import (
	"context"
	"errors"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio"
)

const (
	// lateTime is how long a drained worker still answers clients that poll: they may have sent a last message before they
	// learnt of the end, and engineio answers those for as long. A session whose client has not polled by then has none.
	lateTime = 5 * time.Second
	// lastTime is that where the host's router answers what comes later: for what is on its way to the worker.
	lastTime = 250 * time.Millisecond
)

// notice is how long a draining worker still takes new sessions, so that every router knows by then that it drains: an
// event and a look at the records, which take a few milliseconds. What came in meanwhile is moved with the rest.
const notice = 250 * time.Millisecond

// drain moves the clients away and ends the serving, within SIDEREAL_SHUTDOWN_TIMEOUT.
func (w *worker) drain(ctx context.Context, m *membership) error {
	begin := time.Now()
	w.log.Info().Str("worker", w.ID()).Int("sessions", w.io.Engine().Len()).Msg("worker drains")
	m.setState(directory.StateDraining)
	if m.mode != supervised { // there the host's router has the clients' connections, and keeps the delay
		w.leaving.Store(true)
		netio.Pause(ctx, w.cfg.DrainDelay)
	}
	ctx, cancel := context.WithTimeout(ctx, w.cfg.ShutdownTimeout)
	defer cancel()
	if m.mode != alone {
		netio.Pause(ctx, min(notice, w.cfg.ShutdownTimeout/4))
	}
	sessions := w.io.Engine().Len()
	moving, stop := context.WithTimeout(ctx, time.Duration(sessions)*time.Second/time.Duration(max(w.cfg.DrainRate, 1))+lateTime)
	defer stop()
	polled := w.polled()
	err := w.io.Drain(moving, w.drainRate(sessions))
	switch {
	case err == nil && polled && m.mode == supervised:
		netio.Pause(ctx, min(lastTime, w.cfg.ShutdownTimeout/2))
	case err == nil && polled:
		netio.Pause(ctx, min(lateTime, w.cfg.ShutdownTimeout/2))
	case errors.Is(err, context.DeadlineExceeded):
		err = nil
		event := w.log.Info() // of clients that poll no more
		if ctx.Err() != nil {
			event = w.log.Warn()
		}
		event.Str("worker", w.ID()).Int("sessions", w.io.Engine().Len()).Msg("time is over: sessions cut off")
	}
	err = errors.Join(err, m.leave())
	err = errors.Join(err, w.stop(ctx))
	w.log.Info().Str("worker", w.ID()).Stringer("took", time.Since(begin).Round(time.Millisecond)).Msg("worker stopped")
	return err
}

// drainRate is how many of so many sessions leave in a second: more than SIDEREAL_DRAIN_RATE where the time would not do.
func (w *worker) drainRate(sessions int) int {
	within := max(w.cfg.ShutdownTimeout-min(2*lateTime, w.cfg.ShutdownTimeout/2), time.Millisecond)
	return max(w.cfg.DrainRate, int(float64(sessions)/within.Seconds()))
}

// polled reports whether a session here is one that polls.
func (w *worker) polled() bool {
	for s := range w.io.Engine().Sessions() {
		if s.Transport() == "polling" {
			return true
		}
	}
	return false
}
