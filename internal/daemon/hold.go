package daemon

import (
	"context"
	"errors"

	"github.com/sidereal-io/sidereal/internal/config"
)

// hold is the right of one command to change what an app consists of. Commands that start, scale,
// reload or delete it need one; those that only tell its processes to do something (stop, restart,
// signal, send ...) don't, so that a start which waits for a process that never gets ready can be
// ended by them.
type hold struct {
	interrupt context.CancelCauseFunc
	released  chan struct{}
}

// errDeleting is why a command is interrupted: a delete wants the app.
var errDeleting = errors.New("daemon: processes of the app are being deleted")

func newHold(interrupt context.CancelCauseFunc) *hold { return &hold{interrupt, make(chan struct{})} }

// take gives a command an app, without waiting. The command's context ends when a delete wants the
// app.
func (r *registry) take(ctx context.Context, ap *application) (held context.Context, release func(), err error) {
	held, interrupt := context.WithCancelCause(ctx)
	h := newHold(interrupt)
	text := ""
	r.change(ap, func(f *facts) {
		switch {
		case f.gone:
			text = ": is being deleted: try again"
		case f.hold != nil || f.deleters > 0:
			text = ": another command is at work on it"
		default:
			f.hold = h
		}
	})
	if text != "" {
		interrupt(nil)
		return nil, nil, &Failure{Code: config.ExitFailed, Text: ap.name + text}
	}
	return held, func() { r.release(ap, h) }, nil
}

// seize is take for a delete, which goes before everything else: it interrupts the command that has
// the app, and waits for it. There is no release where the app is gone by then.
func (r *registry) seize(ctx context.Context, ap *application) (release func(), err error) {
	h := newHold(func(error) {}) // a delete isn't interrupted: it ends
	r.change(ap, func(f *facts) { f.deleters++ })
	defer r.change(ap, func(f *facts) { f.deleters-- })
	for {
		var other *hold
		gone := false
		r.change(ap, func(f *facts) {
			if other, gone = f.hold, f.gone; other == nil && !gone {
				f.hold = h
			}
		})
		switch {
		case other != nil:
			other.interrupt(errDeleting)
		case gone:
			return nil, nil
		default:
			return func() { r.release(ap, h) }, nil
		}
		select {
		case <-other.released:
		case <-r.over:
			return nil, context.Canceled
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *registry) release(ap *application, h *hold) {
	h.interrupt(nil)
	r.change(ap, func(f *facts) {
		if f.hold == h {
			f.hold = nil
		}
	})
	close(h.released)
}

// explained says of a command that was interrupted by a delete that it was.
func explained(held context.Context, ap *application, err error) error {
	if err != nil && errors.Is(context.Cause(held), errDeleting) {
		return &Failure{Code: config.ExitFailed, Text: ap.name + ": another command has deleted processes of it meanwhile"}
	}
	return err
}
