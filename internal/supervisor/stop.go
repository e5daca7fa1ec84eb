package supervisor

import (
	"math"
	"slices"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// lastBreath is the least time of a stage, even if earlier stages used up the time of all.
const lastBreath = time.Second

// shutdown stops places stage by stage. None of them starts again.
type shutdown struct {
	sup      *Supervisor
	places   map[*place]bool // nil: all
	stage    int
	deadline time.Time
	forget   bool          // remove the places with their last process
	done     chan struct{} // closed when the last process has ended, and the places are removed
}

// shutDown begins to stop places; nil: all.
func (s *Supervisor) shutDown(places map[*place]bool) *shutdown {
	d := &shutdown{sup: s, places: places, deadline: time.Now().Add(s.cfg.StopTimeout), done: make(chan struct{})}
	s.shutdowns = append(s.shutdowns, d)
	d.enter(math.MinInt)
	return d
}

// advance moves each shutdown to its next stage once the present one needs no more waiting.
func (s *Supervisor) advance() {
	left := s.shutdowns[:0]
	for _, d := range s.shutdowns {
		if !d.advance() {
			left = append(left, d)
			continue
		}
		if d.forget {
			s.forget(d.places)
		}
		close(d.done)
	}
	s.shutdowns = left
}

// forget removes places at which no process runs any more.
func (s *Supervisor) forget(places map[*place]bool) {
	for pl := range places {
		s.metrics.restarts.DeleteLabelValues(pl.spec.Name)
	}
	s.places = slices.DeleteFunc(slices.Clone(s.places), func(pl *place) bool { return places[pl] })
	for pl := range places {
		s.metrics.restarts.DeleteLabelValues(pl.spec.Name)
	}
}

func (d *shutdown) covers(pl *place) bool { return d.places == nil || d.places[pl] }

// advance goes on to the next stage if the present one allows it. It returns true when no process
// is left.
func (d *shutdown) advance() (over bool) {
	over = true
	for p := range d.sup.running {
		if !d.covers(p.place) {
			continue
		}
		over = false
		if p.spec.Stage <= d.stage && !(p.spec.Yields && p.departure.draining) {
			return false
		}
	}
	if !over {
		d.enter(d.stage + 1)
	}
	return over
}

// enter stops the processes of the lowest stage from the given one on that has any.
func (d *shutdown) enter(from int) {
	found := false
	for p := range d.sup.running {
		if stage := p.spec.Stage; d.covers(p.place) && stage >= from && (!found || stage < d.stage) {
			d.stage, found = stage, true
		}
	}
	if !found {
		return
	}
	left := max(time.Until(d.deadline), min(lastBreath, d.sup.cfg.StopTimeout))
	for p := range d.sup.running {
		if d.covers(p.place) && p.spec.Stage == d.stage {
			p.departure.begin(left, d)
		}
	}
}

// stopTimeout is how long the process has from being told to stop to being killed.
func (p *process) stopTimeout() time.Duration {
	if p.spec.Stop.Timeout > 0 {
		return p.spec.Stop.Timeout
	}
	return p.sup.cfg.StopTimeout
}

// leaveTimeout is how long a process may take that is being replaced. Moving its sessions away has
// a time of its own: Stop.Timeout begins when the process is told to end.
func (p *process) leaveTimeout() time.Duration {
	if a := p.spec.Agent; a != nil && a.Drain > 0 {
		return max(a.Drain, p.stopTimeout())
	}
	return p.stopTimeout()
}

// departure is how a process leaves, from the first sign that it will to its end. Its fields belong
// to the loop.
type departure struct {
	p        *process
	draining bool        // it takes nothing new
	moving   bool        // its agent moves its sessions away
	stopping bool        // it was told to end, or killed
	kill     *time.Timer // while stopping
}

// begin makes the process end. If its agent moves sessions, and stays, that comes first. d is the
// shutdown that the process leaves in; nil: a reload.
func (e *departure) begin(limit time.Duration, d *shutdown) {
	p := e.p
	if e.stopping || e.moving || !e.movesSessions(d) || p.attachment.agent.line.Tell(lifeline.Drain, p.attachment.idText(), nil) != nil {
		e.terminate(min(limit, p.stopTimeout()))
		return
	}
	e.moving, e.draining = true, true
	p.sup.loop.later(min(limit, p.spec.Agent.Drain), func() {
		if p.runs() {
			e.moved()
		}
	})
}

// movesSessions reports whether the agent of the process can move sessions away.
func (e *departure) movesSessions(d *shutdown) bool {
	a, agent := e.p.spec.Agent, e.p.attachment.agent
	return a != nil && a.Drain > 0 && agent.runs() && !agent.departure.stopping && (d == nil || !d.covers(agent.place))
}

// moved ends a process whose sessions have left, or had the time to.
func (e *departure) moved() {
	if e.moving {
		e.moving = false
		e.terminate(e.p.stopTimeout())
	}
}

// terminate asks a process to stop, and kills it if it hasn't ended within d. Asking again changes
// nothing.
func (e *departure) terminate(d time.Duration) {
	if e.stopping {
		return
	}
	p := e.p
	e.stopping = true
	p.readiness.endProbe()
	if m := p.spec.Stop.Message; m == "" || p.attachment.send([]byte(m)) != nil {
		sig := p.spec.Stop.Signal
		if sig == 0 {
			sig = syscall.SIGTERM
		}
		p.group.signal(sig)
	}
	e.killLater(d)
}

// killLater kills a process that hasn't ended within d.
func (e *departure) killLater(d time.Duration) {
	p := e.p
	e.kill = p.sup.loop.later(d, func() {
		if p.runs() {
			p.sup.cfg.Log.Warn("process didn't stop: killed", "process", p.spec.Name, "pid", p.pid(), "after_ms", d.Milliseconds())
			p.group.kill()
		}
	})
}

// killNow kills the process, whatever it does.
func (e *departure) killNow() {
	e.stopping = true
	e.p.readiness.endProbe()
	e.p.group.kill()
}
