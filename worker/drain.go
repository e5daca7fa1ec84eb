package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio"
)

const (
	// afterDrain is how long a drained worker still answers clients that poll: they may have sent a
	// message before they learned of the end of their session.
	afterDrain = 5 * time.Second
	// afterDrainSupervised is the same for a supervised worker: the host's router answers later
	// requests.
	afterDrainSupervised = 250 * time.Millisecond
)

// notice is how long a draining worker still takes new sessions, until every router knows that it
// drains. An event tells them within milliseconds. The worker drains the new sessions too.
const notice = 250 * time.Millisecond

// forApp is how long the functions of the app may take after the last session, at least.
const forApp = 5 * time.Second

// drain closes the sessions and ends the serving. limited begins the time that a shutdown may take,
// of which drain leaves a part to the app.
func (w *worker) drain(ctx context.Context, limited func() context.Context, m *membership) error {
	w.log.Info("worker drains", "worker", w.ID(), "sessions", w.io.Engine().Len())
	if m.move != nil {
		_ = m.move.stop() // always nil
	}
	m.setState(directory.StateDraining)
	if m.mode != supervised { // the host's router has the connections of the clients, and its own delay
		w.leaving.Store(true)
		netio.Pause(ctx, w.cfg.DrainDelay)
	}
	ctx, cancel := context.WithTimeout(limited(), w.cfg.ShutdownTimeout-min(forApp, w.cfg.ShutdownTimeout/4))
	defer cancel()
	if m.mode != alone {
		netio.Pause(ctx, min(notice, w.cfg.ShutdownTimeout/4))
	}
	sessions := w.io.Engine().Len()
	moving, stop := context.WithTimeout(ctx, time.Duration(sessions)*time.Second/time.Duration(max(w.cfg.DrainRate, 1))+afterDrain)
	defer stop()
	polled := w.polled()
	err := w.io.Drain(moving, w.drainRate(sessions))
	switch {
	case err == nil && polled && m.mode == supervised:
		netio.Pause(ctx, min(afterDrainSupervised, w.cfg.ShutdownTimeout/2))
	case err == nil && polled:
		netio.Pause(ctx, min(afterDrain, w.cfg.ShutdownTimeout/2))
	case errors.Is(err, context.DeadlineExceeded):
		err = nil
		level := slog.LevelInfo // clients that don't poll any more
		if ctx.Err() != nil {
			level = slog.LevelWarn
		}
		w.log.Log(ctx, level, "shutdown timeout: sessions cut off", "worker", w.ID(), "sessions", w.io.Engine().Len())
	}
	err = errors.Join(err, m.leave())
	return errors.Join(err, w.stop(ctx))
}

// drainRate returns the number of sessions to close each second: Config.DrainRate, or more if
// Config.ShutdownTimeout requires it.
func (w *worker) drainRate(sessions int) int {
	within := max(w.cfg.ShutdownTimeout-min(2*afterDrain, w.cfg.ShutdownTimeout/2), time.Millisecond)
	return max(w.cfg.DrainRate, int(float64(sessions)/within.Seconds()))
}

// polled reports whether a session polls.
func (w *worker) polled() bool {
	for s := range w.io.Engine().Sessions() {
		if s.Transport() == "polling" {
			return true
		}
	}
	return false
}
