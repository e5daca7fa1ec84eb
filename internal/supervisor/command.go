package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// Add brings new places, and starts those that are not Manual.
func (s *Supervisor) Add(specs ...Spec) error {
	return s.ask(func() error {
		if s.stopping {
			return ErrStopping
		}
		if err := check(specs, func(name string) bool { return s.find(name) != nil }); err != nil {
			return err
		}
		for _, spec := range specs {
			pl := newPlace(spec)
			s.places = append(s.places, pl)
			s.metrics.restarts.WithLabelValues(spec.Name) // shown from the start, as 0
			s.schedule(pl)
		}
		s.startDue()
		return nil
	})
}

// Remove stops places, stage by stage as at the end of Run, closes their listeners, and forgets
// them when the last process has ended. It returns then, or when ctx ends, which ends the wait and
// not the removal.
func (s *Supervisor) Remove(ctx context.Context, names ...string) error {
	var d *descent
	err := s.ask(func() error {
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
			s.keepEmpty(pl, errors.New("removed"))
			pl.gone = true
			s.cancel(pl.cron)
			pl.closeListeners()
		}
		d = s.descend(set)
		d.forget = true
		s.advance()
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case <-d.done:
	case <-s.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.ask(func() error { return nil }) // so that Status shows it
}

// Start starts processes at places that are empty, by whatever reason; a crash loop is forgotten. It returns at once: see Wait.
func (s *Supervisor) Start(names ...string) error {
	return s.each(names, func(pl *place) error {
		if pl.current == nil {
			pl.forget()
			s.launch(pl)
		}
		return nil
	})
}

// Stop ends the processes at places, which stay empty until Start or Restart. It returns at once.
func (s *Supervisor) Stop(names ...string) error {
	return s.each(names, func(pl *place) error {
		s.vacate(pl, errors.New("stopped"))
		return nil
	})
}

// Restart stops processes and starts them again, those that do not run only that. It returns at once.
func (s *Supervisor) Restart(names ...string) error {
	return s.each(names, func(pl *place) error {
		s.restartNow(pl)
		return nil
	})
}

// Become has places follow new specs of the same names from the next start on.
func (s *Supervisor) Become(specs ...Spec) error {
	return s.ask(func() error {
		for _, spec := range specs {
			pl := s.find(spec.Name)
			if pl == nil {
				return ErrNoPlace
			}
			if err := spec.validate(); err != nil {
				return err
			}
			pl.become(spec)
			s.schedule(pl)
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

// Signal sends a signal to the processes of those names that run. It returns at once.
func (s *Supervisor) Signal(sig syscall.Signal, names ...string) error {
	return s.each(names, func(pl *place) error {
		if pl.current == nil {
			return nil
		}
		return pl.current.cmd.Process.Signal(sig)
	})
}

// Send has the agent of a process send it a message. It returns ErrNoChannel if the process takes none.
func (s *Supervisor) Send(name string, message json.RawMessage) error {
	return s.each([]string{name}, func(pl *place) error {
		if pl.current == nil {
			return ErrNoChannel
		}
		return s.message(pl.current, message)
	})
}

// Serve gives a place one more listener: its process is told of it, and later ones inherit it.
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

// Tell sends the process at a place a line of package lifeline; one that is not there misses nothing.
func (s *Supervisor) Tell(name, key, value string) error {
	return s.each([]string{name}, func(pl *place) error {
		if pl.current == nil || pl.current.line == nil {
			return nil
		}
		return pl.current.line.Tell(key, value, nil)
	})
}

// Poke has everyone who waits look again.
func (s *Supervisor) Poke() { s.post(func() {}) }

// each calls f for places in the loop.
func (s *Supervisor) each(names []string, f func(*place) error) error {
	return s.ask(func() error {
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

// keepEmpty has no process follow the one that is at a place.
func (s *Supervisor) keepEmpty(pl *place, why error) {
	s.abandon(pl, why)
	s.cancel(pl.again)
	pl.again, pl.idle, pl.begun = nil, Stopped, true
}

// vacate empties a place, until it is started again.
func (s *Supervisor) vacate(pl *place, why error) {
	s.keepEmpty(pl, why)
	if pl.current != nil {
		s.terminate(pl.current, s.stopTimeout(pl.current))
	}
}

func (s *Supervisor) restartNow(pl *place) {
	s.abandon(pl, errors.New("restarted"))
	pl.forget()
	if pl.current == nil {
		s.launch(pl)
		return
	}
	pl.idle = Waiting // also when it is being stopped: what comes next is a start
	s.terminate(pl.current, s.stopTimeout(pl.current))
}

// forget lets a place begin anew.
func (pl *place) forget() {
	pl.backoff.failures = 0
	pl.lives.forget()
}

// schedule arms the next restart by the clock.
func (s *Supervisor) schedule(pl *place) {
	s.cancel(pl.cron)
	pl.cron = nil
	if pl.spec.Schedule == nil || pl.gone {
		return
	}
	now := time.Now()
	due := pl.spec.Schedule.Next(now)
	if due.IsZero() {
		return // never
	}
	pl.cron = s.later(min(due.Sub(now), time.Hour), func() {
		if !time.Now().Before(due) && !s.stopping {
			s.cfg.Log.Info().Str("process", pl.spec.Name).Msg("restarted by the clock")
			pl.renewed++
			s.restartNow(pl)
		}
		s.schedule(pl)
	})
}
