package supervisor

import (
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// place is where the process of a Spec runs, one after the other, with what is known of them. Its
// fields belong to the loop.
type place struct {
	sup     *Supervisor
	spec    Spec
	current *process // serving, or about to; nil between two processes
	next    *process // in a reload: the successor, not ready yet
	turn    *turn    // in a reload: the place's turn

	idle   State  // the place's state without a process: Waiting if one is to come
	reason string // of Errored
	again  *time.Timer
	due    time.Time // when again fires
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

func newPlace(s *Supervisor, spec Spec) *place {
	pl := &place{sup: s, idle: Waiting}
	pl.become(spec)
	if spec.Manual {
		pl.idle, pl.begun = Stopped, true
	}
	return pl
}

// become sets the spec of the processes to come.
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
		st.State, st.PID, st.Attrs, st.ID, st.Port = p.state(), p.pid(), p.attrs, p.attachment.idText(), p.attachment.port
	}
	return st
}

// agent returns the process that looks after those of the place; nil while none is ready.
func (pl *place) agent() *process {
	at := pl.sup.find(pl.spec.Agent.Place)
	if at == nil || at.current == nil || !at.current.readiness.ready || at.current.departure.stopping || at.current.hungUp() {
		return nil
	}
	return at.current
}

// hasAgentAt reports whether the place's processes have their agent at the place of that name.
func (pl *place) hasAgentAt(name string) bool {
	return pl.spec.Agent != nil && pl.spec.Agent.Place == name
}

// launch starts the process of an empty place. If its agent isn't ready, the agent's readiness will
// launch it.
func (pl *place) launch() {
	s := pl.sup
	if s.stopping || pl.gone || pl.current != nil || pl.next != nil {
		return
	}
	s.loop.cancel(pl.again)
	pl.again, pl.idle, pl.reason, pl.begun = nil, Waiting, "", true
	if pl.spec.Agent != nil && pl.agent() == nil {
		if at := s.find(pl.spec.Agent.Place); at == nil || at.idle == Errored && at.current == nil {
			pl.giveUp(pl.spec.Agent.Place + " does not run")
		}
		return
	}
	p, err := pl.start(pl.spec)
	pl.starts++
	if err != nil {
		pl.didNotStart(err)
		return
	}
	pl.current, pl.started = p, p.started
	p.began()
}

// didNotStart deals with a program that couldn't be started at all.
func (pl *place) didNotStart(err error) {
	s := pl.sup
	hopeless := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, exec.ErrNotFound)
	pl.lives.add(0)
	switch {
	case !s.cfg.Lasting && pl.restarts == 0:
		s.fail(&ExitError{Name: pl.spec.Name, Code: -1, Err: err})
		s.stop()
	case s.cfg.Lasting && (hopeless || pl.lives.looping()):
		pl.giveUp(err.Error())
	default:
		wait := max(pl.pause(0), firstWait)
		s.cfg.Log.Error("process does not start", "process", pl.spec.Name, "error", err, "again_in_ms", wait.Milliseconds())
		pl.launchLater(wait)
	}
}

// giveUp leaves a place empty until a command starts it.
func (pl *place) giveUp(why string) {
	s := pl.sup
	pl.idle, pl.reason = Errored, why
	s.cfg.Log.Error("process given up", "process", pl.spec.Name, "cause", why)
	if t := pl.turn; t != nil && !t.renewed {
		t.fail(why)
	}
	for _, other := range s.places { // those that wait for it would wait for ever
		if other.hasAgentAt(pl.spec.Name) && other.current == nil && other.idle == Waiting && other.begun {
			other.giveUp(pl.spec.Name + " cannot run: " + why)
		}
	}
}

// agentReady launches the place if it waits for the agent at the place of that name.
func (pl *place) agentReady(name string) {
	if pl.hasAgentAt(name) && pl.idle == Waiting && pl.begun && pl.again == nil {
		pl.launch()
	}
}

// follow decides what happens after the process p of the place has ended.
func (pl *place) follow(p *process, exit Exit) {
	rule := &pl.spec.Restart
	switch {
	case pl.sup.stopping || pl.gone || pl.idle == Stopped:
	case exit.Code != 0 && exit.Code == p.spec.FatalCode && !exit.Planned:
		pl.cannotRun(exit)
	case exit.Planned || p.attachment.lost:
		pl.launch()
	case rule.Never || slices.Contains(rule.StopCodes, exit.Code):
		pl.idle = Stopped
		pl.sup.cfg.Log.Info("process ended; it needs no restart", "process", pl.spec.Name, "cause", exit.Cause)
	case pl.lives.looping():
		pl.giveUp(strconv.Itoa(pl.lives.unstable()) + " unstable ends in a row, the last by " + exit.Cause)
	default:
		pl.restart(p, exit)
	}
}

// cannotRun deals with a process whose exit code says that another one would fail, too.
func (pl *place) cannotRun(exit Exit) {
	s := pl.sup
	if s.cfg.Lasting {
		pl.giveUp(exit.Cause)
		return
	}
	s.cfg.Log.Debug("process cannot run", "process", pl.spec.Name, "pid", exit.PID, "cause", exit.Cause)
	s.fail(&ExitError{Name: pl.spec.Name, Code: exit.Code})
	s.stop()
}

// restart starts the process of the place again, at once or after a while.
func (pl *place) restart(p *process, exit Exit) {
	wait := pl.pause(time.Since(p.started))
	log := pl.sup.cfg.Log.With("process", pl.spec.Name, "pid", exit.PID, "cause", exit.Cause, "again_in_ms", wait.Milliseconds())
	if pl.backoff.looping() {
		log.Error("process keeps exiting", "in_a_row", pl.backoff.failures)
	} else {
		log.Warn("process ended")
	}
	if wait == 0 {
		pl.launch()
		return
	}
	pl.launchLater(wait)
}

func (pl *place) launchLater(wait time.Duration) {
	pl.due = time.Now().Add(wait)
	pl.again = pl.sup.loop.later(wait, func() {
		pl.again = nil
		pl.launch()
	})
}

// pause returns how long the place stays empty after a process that lived for uptime.
func (pl *place) pause(uptime time.Duration) time.Duration {
	wait := pl.backoff.next(uptime)
	if d := pl.spec.Restart.Delay; d > 0 {
		return d
	}
	return wait
}

// keepEmpty has no process follow the current one.
func (pl *place) keepEmpty(why error) {
	pl.leaveReload(why)
	pl.sup.loop.cancel(pl.again)
	pl.again, pl.idle, pl.begun = nil, Stopped, true
}

// vacate empties the place until it is started again.
func (pl *place) vacate(why error) {
	pl.keepEmpty(why)
	if p := pl.current; p != nil {
		p.departure.terminate(p.stopTimeout())
	}
}

// restartNow stops the process of the place, if there is one, and starts it again.
func (pl *place) restartNow() {
	pl.leaveReload(errors.New("restarted"))
	pl.forget()
	if pl.current == nil {
		pl.launch()
		return
	}
	pl.idle = Waiting // also while it is being stopped: a start comes next
	pl.current.departure.terminate(pl.current.stopTimeout())
}

// renew replaces the process of the place, without a gap, for a reason that no command gave.
func (pl *place) renew() {
	if pl.sup.reload([]Spec{pl.spec}, 1, nil) == nil {
		pl.renewed++
	}
}

// forget clears the history by which crash loops are found.
func (pl *place) forget() {
	pl.backoff.failures = 0
	pl.lives.forget()
}

// schedule arms the next restart by the clock.
func (pl *place) schedule() {
	s := pl.sup
	s.loop.cancel(pl.cron)
	pl.cron = nil
	if pl.spec.Schedule == nil || pl.gone {
		return
	}
	now := time.Now()
	due := pl.spec.Schedule.Next(now)
	if due.IsZero() {
		return // never
	}
	pl.cron = s.loop.later(min(due.Sub(now), time.Hour), func() {
		if !time.Now().Before(due) && !s.stopping {
			s.cfg.Log.Info("restarted by cron_restart", "process", pl.spec.Name)
			pl.renewed++
			pl.restartNow()
		}
		pl.schedule()
	})
}

func (pl *place) closeListeners() {
	for _, l := range pl.spec.Listeners {
		l.Close()
	}
}
