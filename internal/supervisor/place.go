package supervisor

import (
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// place is a Spec with the processes that serve it. Its fields belong to the loop.
type place struct {
	spec    Spec
	current *process // serving or about to; nil between two
	next    *process // in a reload: the successor, not ready yet
	renewal *renewal // in a reload: the place's turn

	idle   State  // what the place is without a process: Waiting where it is to have one
	reason string // of Errored
	again  *time.Timer
	due    time.Time // of again
	cron   *time.Timer

	backoff  backoff
	lives    lives
	starts   int
	restarts int
	renewed  int
	begun    bool // has been started once
	served   bool // has been ready once
	gone     bool // is being removed
	started  time.Time
	last     *Exit
}

func newPlace(spec Spec) *place {
	pl := &place{idle: Waiting}
	pl.become(spec)
	if spec.Manual {
		pl.idle, pl.begun = Stopped, true
	}
	return pl
}

// become has the processes to come follow a spec.
func (pl *place) become(spec Spec) {
	pl.spec = spec
	pl.backoff.rule = spec.Restart.Backoff
	pl.lives.rule(spec.Restart.Max, spec.Restart.MinUptime)
}

func (pl *place) status() Status {
	st := Status{
		Name: pl.spec.Name, Group: pl.spec.group(), State: pl.idle, Starts: pl.starts, Restarts: pl.restarts, Renewed: pl.renewed,
		Unstable: pl.lives.unstable(), Started: pl.started, Last: pl.last, Reason: pl.reason,
	}
	if pl.again != nil {
		st.Again = pl.due
	}
	if p := pl.current; p != nil {
		st.State, st.PID, st.Attrs, st.ID, st.Port = p.state(), p.pid(), p.attrs, p.idText(), p.port
	}
	return st
}

// startDue starts the places that have never been and wait for nothing any more.
func (s *Supervisor) startDue() {
	for _, pl := range s.places {
		if !pl.begun && !pl.gone && !s.stopping && s.served(pl.spec.After) {
			pl.begun = true
			s.launch(pl)
		}
	}
}

func (s *Supervisor) served(name string) bool {
	if name == "" {
		return true
	}
	pl := s.find(name)
	return pl != nil && pl.served
}

// launch starts the process of an empty place. One whose agent is not ready waits for that.
func (s *Supervisor) launch(pl *place) {
	if s.stopping || pl.gone || pl.current != nil || pl.next != nil {
		return
	}
	s.cancel(pl.again)
	pl.again, pl.idle, pl.reason, pl.begun = nil, Waiting, "", true
	if pl.spec.Agent != nil && s.agentOf(&pl.spec) == nil {
		if a := s.find(pl.spec.Agent.Place); a == nil || a.idle == Errored && a.current == nil {
			s.giveUp(pl, pl.spec.Agent.Place+" does not run")
		}
		return
	}
	p, err := s.start(pl, pl.spec)
	pl.starts++
	if err != nil {
		s.didNotStart(pl, err)
		return
	}
	pl.current, pl.started = p, p.started
	s.began(p)
}

// began follows a process that has been started.
func (s *Supervisor) began(p *process) {
	s.running[p] = true
	s.cfg.Log.Debug().Str("process", p.spec.Name).Int("pid", p.pid()).Msg("process started")
	s.announce(p)
	s.awaitReadiness(p)
}

// didNotStart deals with a program that could not be started at all.
func (s *Supervisor) didNotStart(pl *place, err error) {
	hopeless := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, exec.ErrNotFound)
	pl.lives.add(0)
	switch {
	case !s.cfg.Lasting && pl.restarts == 0:
		s.fail(&ExitError{Name: pl.spec.Name, Code: -1, Err: err})
		s.stop()
	case s.cfg.Lasting && (hopeless || pl.lives.looping()):
		s.giveUp(pl, err.Error())
	default:
		wait := max(s.wait(pl, 0), firstWait)
		s.cfg.Log.Error().Str("process", pl.spec.Name).Err(err).Stringer("again_in", wait).Msg("process does not start")
		s.launchLater(pl, wait)
	}
}

// giveUp leaves a place empty, until it is started by command.
func (s *Supervisor) giveUp(pl *place, why string) {
	pl.idle, pl.reason = Errored, why
	s.cfg.Log.Error().Str("process", pl.spec.Name).Str("cause", why).Msg("process given up")
	if n := pl.renewal; n != nil && !n.renewed {
		s.rollBack(n, why)
	}
	for _, other := range s.places { // those that wait for it would do so for ever
		if a := other.spec.Agent; a != nil && a.Place == pl.spec.Name && other.current == nil && other.idle == Waiting && other.begun {
			s.giveUp(other, pl.spec.Name+" cannot run: "+why)
		}
	}
}

func (s *Supervisor) becameReady(p *process) {
	if p.ready {
		return
	}
	p.ready = true
	p.endProbe()
	p.place.served = true
	s.cfg.Log.Debug().Str("process", p.spec.Name).Int("pid", p.pid()).Stringer("took", time.Since(p.started)).Msg("process ready")
	for _, pl := range s.places {
		if pl.spec.Agent != nil && pl.spec.Agent.Place == p.spec.Name && pl.idle == Waiting && pl.begun && pl.again == nil {
			s.launch(pl)
		}
	}
	s.startDue()
	s.rollReady(p)
}

// ended takes a process out and, where it was to go on, starts the next.
func (s *Supervisor) ended(p *process, err error) {
	pl, exit := p.place, exitOf(p, err)
	delete(s.running, p)
	s.cancel(p.kill)
	p.closeInput()
	p.endProbe()
	if s.cfg.OnExit != nil {
		s.followers.Go(func() { s.cfg.OnExit(exit) })
	}
	s.forsake(p)
	p.cut = p.cut || p.agent != nil && p.agent.over() // whose end may be told after that of those who end with it
	pl.last = &exit
	if exit.Planned || p.cut {
		s.cfg.Log.Debug().Str("process", p.spec.Name).Int("pid", exit.PID).Str("cause", exit.Cause).Msg("process stopped")
	} else {
		pl.restarts++
		pl.lives.add(time.Since(p.started))
		s.metrics.restarts.WithLabelValues(p.spec.Name).Inc()
	}
	successor := pl.next == p
	switch {
	case successor:
		pl.next = nil
	case pl.current != p: // the old one of a reload
	case pl.next != nil:
		pl.current, pl.next = pl.next, nil // the successor of a reload is on its way
	default:
		pl.current = nil
		s.follow(pl, p, exit)
	}
	s.rollEnded(p, successor, exit.Cause)
	s.advance()
	if s.orphans {
		s.reapStrays()
	}
}

// follow decides what comes to a place whose process has ended.
func (s *Supervisor) follow(pl *place, p *process, exit Exit) {
	rule := &pl.spec.Restart
	switch {
	case s.stopping || pl.gone || pl.idle == Stopped:
	case exit.Code != 0 && exit.Code == p.spec.FatalCode && !exit.Planned:
		s.cannotRun(pl, exit)
	case exit.Planned || p.cut:
		s.launch(pl)
	case rule.Never || slices.Contains(rule.StopCodes, exit.Code):
		pl.idle = Stopped
		s.cfg.Log.Info().Str("process", pl.spec.Name).Str("cause", exit.Cause).Msg("process ended, as it may")
	case pl.lives.looping():
		s.giveUp(pl, strconv.Itoa(pl.lives.unstable())+" unstable ends in a row, the last by "+exit.Cause)
	default:
		s.restart(pl, p, exit)
	}
}

// cannotRun deals with a process that said by its exit code that another would do no better.
func (s *Supervisor) cannotRun(pl *place, exit Exit) {
	if s.cfg.Lasting {
		s.giveUp(pl, exit.Cause)
		return
	}
	s.cfg.Log.Debug().Str("process", pl.spec.Name).Int("pid", exit.PID).Str("cause", exit.Cause).Msg("process cannot run")
	s.fail(&ExitError{Name: pl.spec.Name, Code: exit.Code})
	s.stop()
}

// restart starts the process of a place again, at once or after a while.
func (s *Supervisor) restart(pl *place, p *process, exit Exit) {
	wait := s.wait(pl, time.Since(p.started))
	event := s.cfg.Log.Warn()
	if pl.backoff.looping() {
		event = s.cfg.Log.Error()
	}
	event = event.Str("process", pl.spec.Name).Int("pid", exit.PID).Str("cause", exit.Cause).Stringer("again_in", wait)
	if pl.backoff.looping() {
		event.Int("in_a_row", pl.backoff.failures).Msg("process keeps ending")
	} else {
		event.Msg("process ended")
	}
	if wait == 0 {
		s.launch(pl)
		return
	}
	s.launchLater(pl, wait)
}

func (s *Supervisor) launchLater(pl *place, wait time.Duration) {
	pl.due = time.Now().Add(wait)
	pl.again = s.later(wait, func() {
		pl.again = nil
		s.launch(pl)
	})
}

// wait is how long a place stays empty after a process that lived for uptime.
func (s *Supervisor) wait(pl *place, uptime time.Duration) time.Duration {
	wait := pl.backoff.next(uptime)
	if d := pl.spec.Restart.Delay; d > 0 {
		return d
	}
	return wait
}
