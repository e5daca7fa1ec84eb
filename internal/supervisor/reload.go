package supervisor

import (
	"context"
	"time"
)

// roll is a reload under way: places get a successor, some at a time, which must be ready before the old process is told to
// leave, and the old one must have ended before the next place's turn.
type roll struct {
	left   []*renewal // places to come
	active int        // places whose turn it is
	most   int        // of these at a time
	done   int
	failed *ReloadError
	result chan error // nil: nobody waits
}

// renewal is the turn of one place.
type renewal struct {
	roll    *roll
	place   *place
	spec    Spec // of the successor
	old     *process
	renewed bool // the successor is ready: what is left is the end of the old one
	timeout *time.Timer
}

// Reload replaces the processes of a group one by one without a gap. It returns at once; while one is under way, further
// calls do nothing. A successor that does not get ready ends the reload, and the old process stays.
func (s *Supervisor) Reload(group string) {
	s.post(func() {
		var specs []Spec
		for _, pl := range s.places {
			if pl.spec.group() == group && pl.current != nil {
				specs = append(specs, pl.spec)
			}
		}
		if err := s.beginRoll(specs, 1, nil); err != nil {
			s.cfg.Log.Warn().Str("group", group).Err(err).Msg("no reload")
		}
	})
}

// Roll replaces the processes of places by ones of new specs of the same names without a gap, parallel places at a time, and
// returns when the last old one has ended. A successor that fails to get ready ends the reload with a ReloadError: it and the
// places after it keep their old processes and specs. Places without a process take the spec and stay as they are.
func (s *Supervisor) Roll(ctx context.Context, specs []Spec, parallel int) error {
	result := make(chan error, 1)
	if err := s.ask(func() error { return s.beginRoll(specs, parallel, result) }); err != nil {
		return err
	}
	select {
	case err := <-result:
		s.ask(func() error { return nil }) // so that Status shows it
		return err
	case <-s.over:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

// replace starts the successor of a process that leaves without our word: somebody else told it to. Where the next need
// not wait for its end when all of them stop, the successor need not either, and who connects meanwhile is served.
func (s *Supervisor) replace(p *process) {
	pl := p.place
	if !p.spec.Yields || p.stopping || p.leaving || s.stopping || pl.gone || pl.current != p || pl.renewal != nil {
		return
	}
	s.cfg.Log.Warn().Str("process", p.spec.Name).Int("pid", p.pid()).Msg("process leaves by itself: its successor is started")
	p.stopping = true
	s.killLater(p, s.stopTimeout(p))
	if err := s.beginRoll([]Spec{pl.spec}, 1, nil); err != nil {
		s.cfg.Log.Warn().Str("process", p.spec.Name).Err(err).Msg("no successor before it has ended")
	}
}

func (s *Supervisor) beginRoll(specs []Spec, parallel int, result chan error) error {
	if s.stopping {
		return ErrStopping
	}
	r := &roll{most: max(parallel, 1), result: result}
	for _, spec := range specs {
		pl := s.find(spec.Name)
		switch {
		case pl == nil || pl.gone:
			return ErrNoPlace
		case pl.renewal != nil:
			return ErrReloading
		}
		if err := spec.validate(); err != nil {
			return err
		}
		r.left = append(r.left, &renewal{roll: r, place: pl, spec: spec})
	}
	for _, n := range r.left {
		n.place.renewal = n
	}
	s.cfg.Log.Info().Int("processes", len(r.left)).Msg("reload begins")
	s.rollOn(r)
	return nil
}

// rollOn gives the next places their turn, or ends the reload.
func (s *Supervisor) rollOn(r *roll) {
	for r.failed == nil && r.active < r.most && len(r.left) > 0 {
		n := r.left[0]
		r.left = r.left[1:]
		r.active++
		s.renew(n)
	}
	if r.active > 0 {
		return
	}
	for _, n := range r.left {
		n.place.renewal = nil
	}
	r.left = nil
	if r.failed == nil {
		s.cfg.Log.Info().Int("processes", r.done).Msg("reload done")
	}
	if r.result != nil {
		if r.failed != nil {
			r.result <- r.failed
		} else {
			r.result <- nil
		}
		r.result = nil
	}
}

// renew begins the turn of a place.
func (s *Supervisor) renew(n *renewal) {
	pl := n.place
	if pl.current == nil || n.spec.Single {
		pl.become(n.spec)
	}
	switch {
	case pl.current == nil: // whatever comes is new
		s.finish(n)
		return
	case n.spec.Single:
		n.old = pl.current
		s.leave(n.old, s.leaveTimeout(n.old), nil)
	default:
		p, err := s.start(pl, n.spec)
		if err != nil {
			s.rollBack(n, err.Error())
			return
		}
		pl.next = p
		pl.starts++
		s.began(p)
	}
	if n.renewed {
		return
	}
	limit := max(s.cfg.ReadyTimeout, n.spec.Readiness.Timeout)
	if n.old != nil {
		limit += s.leaveTimeout(n.old)
	}
	n.timeout = s.later(limit, func() {
		if pl.renewal != n || n.renewed {
			return
		}
		if p := pl.next; p != nil {
			p.stopping = true
			p.endProbe()
			p.killAll()
		}
		s.rollBack(n, "not ready in time")
	})
}

// finish ends the turn of a place.
func (s *Supervisor) finish(n *renewal) {
	s.cancel(n.timeout)
	n.place.renewal = nil
	n.roll.active--
	s.rollOn(n.roll)
}

// rollBack ends a reload that failed. What has been replaced stays so.
func (s *Supervisor) rollBack(n *renewal, why string) {
	r := n.roll
	if r.failed == nil {
		r.failed = &ReloadError{Name: n.place.spec.Name, Cause: why, Done: r.done}
	}
	s.cfg.Log.Error().Str("process", n.place.spec.Name).Str("cause", why).Msg("reload given up: what was not replaced stays")
	s.finish(n)
}

// rollReady goes on when the process that a reload waits for has become ready.
func (s *Supervisor) rollReady(p *process) {
	pl := p.place
	n := pl.renewal
	if n == nil || n.renewed || p == n.old || (pl.next != nil && pl.next != p) {
		return
	}
	s.cancel(n.timeout)
	n.renewed = true
	n.roll.done++
	if pl.next == nil {
		s.finish(n) // the old one ended before: there is none to drain
		return
	}
	n.old = pl.current
	pl.current, pl.next = p, nil
	pl.become(n.spec)
	pl.started = p.started
	s.leave(n.old, s.leaveTimeout(n.old), nil)
}

// rollEnded goes on when a process has ended that a reload waits for; successor says that p was to take over.
func (s *Supervisor) rollEnded(p *process, successor bool, cause string) {
	n := p.place.renewal
	switch {
	case n == nil:
	case n.renewed && n.old == p:
		s.finish(n)
	case n.renewed:
	case successor, n.spec.Single && p != n.old:
		s.rollBack(n, cause)
	}
}

// abandon takes a place out of the reload that it is part of.
func (s *Supervisor) abandon(pl *place, why error) {
	n := pl.renewal
	if n == nil {
		return
	}
	if pl.next != nil {
		pl.next.stopping = true
		pl.next.killAll()
	}
	if n.roll.failed == nil {
		n.roll.failed = &ReloadError{Name: pl.spec.Name, Cause: why.Error(), Done: n.roll.done}
	}
	waits := false
	for i, l := range n.roll.left {
		if l == n {
			n.roll.left = append(n.roll.left[:i], n.roll.left[i+1:]...)
			waits = true
			break
		}
	}
	pl.renewal = nil
	s.cancel(n.timeout)
	if !waits {
		n.roll.active--
	}
	s.rollOn(n.roll)
}
