package supervisor

import (
	"math"
	"slices"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// lastBreath is what a stage gets, even where the ones before used up the time.
const lastBreath = time.Second

// descent is a stop of places, stage by stage, from which they do not come back.
type descent struct {
	places   map[*place]bool // nil: all
	stage    int
	deadline time.Time
	forget   bool          // the places go with their last process
	done     chan struct{} // closed when the last process has ended, and the places are forgotten
}

func (d *descent) covers(pl *place) bool { return d.places == nil || d.places[pl] }

// stop begins the end: nothing is restarted any more, no connection is queued, and the lowest stage is told to stop.
func (s *Supervisor) stop() {
	if s.stopping {
		return
	}
	s.stopping = true
	for _, pl := range s.places {
		s.abandon(pl, ErrStopping)
	}
	s.closeListeners()
	s.descend(nil)
}

// descend begins to stop places; nil: all.
func (s *Supervisor) descend(places map[*place]bool) *descent {
	d := &descent{places: places, deadline: time.Now().Add(s.cfg.StopTimeout), done: make(chan struct{})}
	s.descents = append(s.descents, d)
	if first, ok := s.nextStage(d, math.MinInt); ok {
		d.stage = first
		s.stopStage(d)
	}
	return d
}

// advance goes on to the next stage of each stop, once its present one needs no more waiting for.
func (s *Supervisor) advance() {
	left := s.descents[:0]
	for _, d := range s.descents {
		if s.step(d) {
			if d.forget {
				s.forget(d.places)
			}
			close(d.done)
		} else {
			left = append(left, d)
		}
	}
	s.descents = left
}

// forget takes places away that nothing runs at any more.
func (s *Supervisor) forget(places map[*place]bool) {
	for pl := range places {
		s.metrics.restarts.DeleteLabelValues(pl.spec.Name)
	}
	s.places = slices.DeleteFunc(slices.Clone(s.places), func(pl *place) bool { return places[pl] })
	for pl := range places {
		s.metrics.restarts.DeleteLabelValues(pl.spec.Name)
	}
}

// step reports whether a stop is complete.
func (s *Supervisor) step(d *descent) (over bool) {
	over = true
	for p := range s.running {
		if !d.covers(p.place) {
			continue
		}
		over = false
		if p.spec.Stage <= d.stage && !(p.spec.Yields && p.draining) {
			return false
		}
	}
	if over {
		return true
	}
	if next, ok := s.nextStage(d, d.stage+1); ok {
		d.stage = next
		s.stopStage(d)
	}
	return false
}

// stopStage tells the processes of the present stage to stop.
func (s *Supervisor) stopStage(d *descent) {
	left := max(time.Until(d.deadline), min(lastBreath, s.cfg.StopTimeout))
	for p := range s.running {
		if d.covers(p.place) && p.spec.Stage == d.stage {
			s.leave(p, left, d)
		}
	}
}

// nextStage is the lowest stage from the given one on with a process that runs.
func (s *Supervisor) nextStage(d *descent, from int) (next int, ok bool) {
	for p := range s.running {
		if st := p.spec.Stage; d.covers(p.place) && st >= from && (!ok || st < next) {
			next, ok = st, true
		}
	}
	return next, ok
}

// stopTimeout is how long a process has from being told to stop to being killed.
func (s *Supervisor) stopTimeout(p *process) time.Duration {
	if p.spec.Stop.Timeout > 0 {
		return p.spec.Stop.Timeout
	}
	return s.cfg.StopTimeout
}

// leaveTimeout is how long a process may take that is replaced. Where its sessions are moved away first, that has a time of
// its own: Stop.Timeout begins when it is told to end.
func (s *Supervisor) leaveTimeout(p *process) time.Duration {
	if a := p.spec.Agent; a != nil && a.Drain > 0 {
		return max(a.Drain, s.stopTimeout(p))
	}
	return s.stopTimeout(p)
}

// leave has a process end. Where its agent moves sessions, and stays, that comes first; d is the stop that it is part of, nil
// a reload.
func (s *Supervisor) leave(p *process, limit time.Duration, d *descent) {
	a := p.spec.Agent
	moves := a != nil && a.Drain > 0 && s.running[p.agent] && !p.agent.stopping && (d == nil || !d.covers(p.agent.place))
	if p.stopping || p.leaving || !moves || p.agent.line.Tell(lifeline.Drain, p.idText(), nil) != nil {
		s.terminate(p, min(limit, s.stopTimeout(p)))
		return
	}
	p.leaving, p.draining = true, true
	s.later(min(limit, a.Drain), func() {
		if s.running[p] && p.leaving {
			p.leaving = false
			s.terminate(p, s.stopTimeout(p))
		}
	})
}

// terminate asks a process to stop, and kills it if it has not within d. Asking again changes nothing.
func (s *Supervisor) terminate(p *process, d time.Duration) {
	if p == nil || p.stopping {
		return
	}
	p.stopping = true
	p.endProbe()
	if !s.askToEnd(p) {
		sig := p.spec.Stop.Signal
		if sig == 0 {
			sig = syscall.SIGTERM
		}
		p.signal(sig)
	}
	s.killLater(p, d)
}

// killLater ends a process that has not ended within d.
func (s *Supervisor) killLater(p *process, d time.Duration) {
	p.kill = s.later(d, func() {
		if s.running[p] {
			s.cfg.Log.Warn().Str("process", p.spec.Name).Int("pid", p.pid()).Stringer("after", d).Msg("did not stop: killed")
			p.killAll()
		}
	})
}

// askToEnd sends the message that stands for the signal, and reports whether there is one.
func (s *Supervisor) askToEnd(p *process) bool {
	m := p.spec.Stop.Message
	return m != "" && s.message(p, []byte(m)) == nil
}

// signal sends a signal to a process, and as its spec has it to those below it. After its end it does nothing.
func (p *process) signal(sig syscall.Signal) {
	p.group.Lock()
	defer p.group.Unlock()
	if p.reaped {
		return
	}
	if p.spec.Stop.Tree != TreeToo {
		syscall.Kill(p.pid(), sig)
		return
	}
	for _, pid := range strangers(p.pid()) {
		syscall.Kill(pid, sig)
	}
	syscall.Kill(-p.pid(), sig)
}

// killAll ends a process and all that it started. After the process' end it does nothing.
func (p *process) killAll() {
	p.group.Lock()
	defer p.group.Unlock()
	if p.reaped {
		return
	}
	if p.spec.Stop.Tree == TreeSpare {
		syscall.Kill(p.pid(), syscall.SIGKILL)
		return
	}
	if p.spec.Stop.Tree == TreeToo {
		for _, pid := range strangers(p.pid()) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	syscall.Kill(-p.pid(), syscall.SIGKILL)
}

// killGroupLocked ends what is left of the group of a process that has ended and was not reaped.
func (p *process) killGroupLocked() {
	if !p.reaped && p.spec.Stop.Tree != TreeSpare {
		syscall.Kill(-p.pid(), syscall.SIGKILL)
	}
}

// closeListeners drops our copies of the inherited sockets: once the children that serve them have closed theirs,
// connections are refused, and a load balancer goes elsewhere.
func (s *Supervisor) closeListeners() {
	for _, pl := range s.places {
		pl.closeListeners()
	}
}

func (pl *place) closeListeners() {
	for _, l := range pl.spec.Listeners {
		l.Close()
	}
}
