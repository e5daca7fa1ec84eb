package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// inputTimeout is how long a process may take to read its input once the pipe is full.
const inputTimeout = time.Second

// Add adds places, and starts those that aren't Manual.
func (s *Supervisor) Add(specs ...Spec) error {
	return s.loop.ask(func() error {
		if s.stopping {
			return ErrStopping
		}
		if err := check(specs, func(name string) bool { return s.find(name) != nil }); err != nil {
			return err
		}
		for _, spec := range specs {
			pl := newPlace(s, spec)
			s.places = append(s.places, pl)
			s.metrics.restarts.WithLabelValues(spec.Name) // shown from the start, as 0
			pl.schedule()
		}
		s.startDue()
		return nil
	})
}

// Remove stops places, stage by stage as at the end of Run, closes their listeners, and removes
// them when the last process has ended. It returns then, or when ctx ends, which ends the wait and
// not the removal.
func (s *Supervisor) Remove(ctx context.Context, names ...string) error {
	var d *shutdown
	err := s.loop.ask(func() error {
		if s.stopping {
			return ErrStopping
		}
		places, err := s.named(names)
		if err != nil {
			return err
		}
		set := map[*place]bool{}
		for _, pl := range places {
			set[pl] = true
			pl.keepEmpty(errors.New("removed"))
			pl.gone = true
			s.loop.cancel(pl.cron)
			pl.closeListeners()
		}
		d = s.shutDown(set)
		d.forget = true
		s.advance()
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case <-d.done:
	case <-s.loop.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.loop.ask(func() error { return nil }) // so that Status shows it
}

// Start starts processes at places that are empty for whatever reason, and forgets a crash loop. It
// returns at once: see Wait.
func (s *Supervisor) Start(names ...string) error {
	return s.each(names, func(pl *place) error {
		if pl.current == nil {
			pl.forget()
			pl.launch()
		}
		return nil
	})
}

// Stop ends the processes at places, which stay empty until Start or Restart. It returns at once.
func (s *Supervisor) Stop(names ...string) error {
	return s.each(names, func(pl *place) error {
		pl.vacate(errors.New("stopped"))
		return nil
	})
}

// Restart stops processes and starts them again, and starts those that don't run. It returns at
// once.
func (s *Supervisor) Restart(names ...string) error {
	return s.each(names, func(pl *place) error {
		pl.restartNow()
		return nil
	})
}

// Become gives places new specs of the same names, which count from the next start on.
func (s *Supervisor) Become(specs ...Spec) error {
	return s.loop.ask(func() error {
		for _, spec := range specs {
			pl := s.find(spec.Name)
			if pl == nil {
				return ErrNoPlace
			}
			if err := spec.validate(); err != nil {
				return err
			}
			pl.become(spec)
			pl.schedule()
		}
		return nil
	})
}

// Reset sets the counters of places to 0.
func (s *Supervisor) Reset(names ...string) error {
	return s.each(names, func(pl *place) error {
		pl.restarts, pl.renewed = 0, 0
		pl.forget()
		return nil
	})
}

// Signal sends a signal to the processes at places. It returns at once.
func (s *Supervisor) Signal(sig syscall.Signal, names ...string) error {
	return s.each(names, func(pl *place) error {
		if pl.current == nil {
			return nil
		}
		return pl.current.cmd.Process.Signal(sig)
	})
}

// Send has the agent of a process send it a message. It returns ErrNoChannel if the process takes
// none.
func (s *Supervisor) Send(name string, message json.RawMessage) error {
	return s.each([]string{name}, func(pl *place) error {
		if pl.current == nil {
			return ErrNoChannel
		}
		return pl.current.attachment.send(message)
	})
}

// Input writes to the input of a process whose spec has one. It waits for the process to read, but
// not for long. It returns ErrNoInput if the process has no input or has closed it, and an error
// that is os.ErrDeadlineExceeded if the process doesn't read.
func (s *Supervisor) Input(name string, b []byte) error {
	var w *os.File
	err := s.each([]string{name}, func(pl *place) error {
		if pl.current == nil || pl.current.input == nil {
			return ErrNoInput
		}
		w = pl.current.input
		return nil
	})
	if err != nil {
		return err
	}
	w.SetWriteDeadline(time.Now().Add(inputTimeout))
	if _, err := w.Write(b); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		return errors.Join(ErrNoInput, err) // it has closed its end, or has just ended
	}
	return nil
}

func (p *process) closeInput() error {
	if p.input == nil {
		return nil
	}
	return p.input.Close()
}

// Serve gives a place one more listener: it goes to the current process, and later ones inherit it.
func (s *Supervisor) Serve(name string, l *net.TCPListener) error {
	return s.each([]string{name}, func(pl *place) error {
		pl.spec.Listeners = append(pl.spec.Listeners[:len(pl.spec.Listeners):len(pl.spec.Listeners)], l)
		if pl.current == nil || pl.current.line == nil {
			return nil
		}
		f, err := l.File()
		if err != nil {
			return err
		}
		return pl.current.line.Tell(lifeline.Listener, l.Addr().String(), f)
	})
}

// Tell sends a line of package lifeline to the process at a place. Without a process it does
// nothing.
func (s *Supervisor) Tell(name, key, value string) error {
	return s.each([]string{name}, func(pl *place) error {
		if pl.current == nil || pl.current.line == nil {
			return nil
		}
		return pl.current.line.Tell(key, value, nil)
	})
}

// Poke wakes all calls of Wait.
func (s *Supervisor) Poke() { s.loop.post(func() {}) }

// each has the loop call f for each of the places.
func (s *Supervisor) each(names []string, f func(*place) error) error {
	return s.loop.ask(func() error {
		if s.stopping {
			return ErrStopping
		}
		places, err := s.named(names)
		if err != nil {
			return err
		}
		var errs []error
		for _, pl := range places {
			errs = append(errs, f(pl))
		}
		return errors.Join(errs...)
	})
}

// named returns the places of those names.
func (s *Supervisor) named(names []string) (places []*place, err error) {
	for _, name := range names {
		pl := s.find(name)
		if pl == nil || pl.gone {
			return nil, ErrNoPlace
		}
		places = append(places, pl)
	}
	return places, nil
}
