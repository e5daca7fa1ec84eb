package supervisor

import (
	"context"
	"slices"
	"time"
)

// reload replaces the processes of places, some at a time. Each place gets a successor, which must
// be ready before the old process is told to leave, and the old process must have ended before the
// next place has its turn.
type reload struct {
	sup     *Supervisor
	waiting []*turn // the places to come
	active  int     // places that have their turn
	most    int     // of these at a time
	done    int
	failed  *ReloadError
	result  chan error // nil: nobody waits
}

// turn is one place's turn in a reload.
type turn struct {
	reload *reload
	place  *place
	spec   Spec // of the successor
	old    *process

	signless bool // the old process never gave a sign that it works: its successor needn't either
	renewed  bool // the successor is ready: only the end of the old one is missing
	timeout  *time.Timer
}

// Reload replaces the processes of a group one by one without a gap. It returns at once. While a
// reload is under way, further calls do nothing. If a successor doesn't get ready, the reload ends
// and the old process stays.
func (s *Supervisor) Reload(group string) {
	s.loop.post(func() {
		var specs []Spec
		for _, pl := range s.places {
			if pl.spec.group() == group && pl.current != nil {
				specs = append(specs, pl.spec)
			}
		}
		if err := s.reload(specs, 1, nil); err != nil {
			s.cfg.Log.Warn("no reload", "group", group, "error", err)
		}
	})
}

// Roll replaces the processes of places by ones of new specs of the same names without a gap,
// parallel places at a time. It returns when the last old process has ended. If a successor fails
// to get ready, the reload ends with a ReloadError: that place and those after it keep their old
// processes and specs. Places without a process take the spec and stay as they are.
func (s *Supervisor) Roll(ctx context.Context, specs []Spec, parallel int) error {
	result := make(chan error, 1)
	if err := s.loop.ask(func() error { return s.reload(specs, parallel, result) }); err != nil {
		return err
	}
	select {
	case err := <-result:
		s.loop.ask(func() error { return nil }) // so that Status shows it
		return err
	case <-s.loop.over:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reload begins a reload of the places of specs. It sends the outcome to result, unless that is
// nil.
func (s *Supervisor) reload(specs []Spec, parallel int, result chan error) error {
	if s.stopping {
		return ErrStopping
	}
	r := &reload{sup: s, most: max(parallel, 1), result: result}
	for _, spec := range specs {
		pl := s.find(spec.Name)
		switch {
		case pl == nil || pl.gone:
			return ErrNoPlace
		case pl.turn != nil:
			return ErrReloading
		}
		if err := spec.validate(); err != nil {
			return err
		}
		r.waiting = append(r.waiting, &turn{reload: r, place: pl, spec: spec})
	}
	for _, t := range r.waiting {
		t.place.turn = t
	}
	s.cfg.Log.Info("reload begins", "processes", len(r.waiting))
	r.next()
	return nil
}

// next gives the next places their turn, or ends the reload.
func (r *reload) next() {
	for r.failed == nil && r.active < r.most && len(r.waiting) > 0 {
		t := r.waiting[0]
		r.waiting = r.waiting[1:]
		r.active++
		t.begin()
	}
	if r.active > 0 {
		return
	}
	for _, t := range r.waiting {
		t.place.turn = nil
	}
	r.waiting = nil
	if r.failed == nil {
		r.sup.cfg.Log.Info("reload done", "processes", r.done)
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

// fail ends the reload after the present turns; the first reason counts.
func (r *reload) fail(name, why string) {
	if r.failed == nil {
		r.failed = &ReloadError{Name: name, Cause: why, Done: r.done}
	}
}

// begin starts the successor, or stops the old process of a place that can have only one.
func (t *turn) begin() {
	pl := t.place
	t.signless = pl.current != nil && !pl.current.readiness.signed
	if pl.current == nil || t.spec.Single {
		pl.become(t.spec)
	}
	switch {
	case pl.current == nil: // the next process is a new one anyway
		t.finish()
		return
	case t.spec.Single:
		t.old = pl.current
		t.old.departure.begin(t.old.leaveTimeout(), nil)
	default:
		p, err := pl.start(t.spec)
		if err != nil {
			t.fail(err.Error())
			return
		}
		pl.next = p
		pl.starts++
		p.began()
	}
	if !t.renewed {
		t.limit()
	}
}

// limit ends the turn if the successor isn't ready in time.
func (t *turn) limit() {
	s, pl := t.reload.sup, t.place
	limit := max(s.cfg.ReadyTimeout, t.spec.Readiness.Timeout)
	if t.signless {
		limit += t.spec.Readiness.Timeout // by which it is ready, or has ended
	}
	if t.old != nil {
		limit += t.old.leaveTimeout()
	}
	t.timeout = s.loop.later(limit, func() {
		if pl.turn != t || t.renewed {
			return
		}
		if p := pl.next; p != nil {
			p.departure.killNow()
		}
		t.fail("not ready in time")
	})
}

// finish ends the turn.
func (t *turn) finish() {
	t.reload.sup.loop.cancel(t.timeout)
	t.place.turn = nil
	t.reload.active--
	t.reload.next()
}

// fail ends the turn and the reload. The places that were replaced stay replaced.
func (t *turn) fail(why string) {
	t.reload.fail(t.place.spec.Name, why)
	t.reload.sup.cfg.Log.Error("reload ended early; processes that weren't replaced go on", "process", t.place.spec.Name, "cause", why)
	t.finish()
}

// ready goes on if p is the process that the turn waits for.
func (t *turn) ready(p *process) {
	pl := t.place
	if t.renewed || p == t.old || (pl.next != nil && pl.next != p) {
		return
	}
	t.reload.sup.loop.cancel(t.timeout)
	t.renewed = true
	t.reload.done++
	if pl.next == nil {
		t.finish() // the old process ended before: none is left to drain
		return
	}
	t.old = pl.current
	pl.current, pl.next = p, nil
	pl.become(t.spec)
	pl.started = p.started
	t.old.departure.begin(t.old.leaveTimeout(), nil)
}

// ended goes on when a process of the place has ended. successor tells whether p was to take over.
func (t *turn) ended(p *process, successor bool, cause string) {
	switch {
	case t.renewed && t.old == p:
		t.finish()
	case t.renewed:
	case successor, t.spec.Single && p != t.old:
		t.fail(cause)
	}
}

// leaveReload takes the place out of its reload, which fails.
func (pl *place) leaveReload(why error) {
	t := pl.turn
	if t == nil {
		return
	}
	if pl.next != nil {
		pl.next.departure.killNow()
	}
	r := t.reload
	r.fail(pl.spec.Name, why.Error())
	pl.turn = nil
	pl.sup.loop.cancel(t.timeout)
	if i := slices.Index(r.waiting, t); i >= 0 {
		r.waiting = slices.Delete(r.waiting, i, i+1)
	} else {
		r.active--
	}
	r.next()
}

// replace starts the successor of a process that leaves without our asking: others told it to. If
// the next stage of a shutdown needn't wait for its end, the successor needn't either, and serves
// those who connect meanwhile.
func (p *process) replace() {
	s, pl := p.sup, p.place
	if !p.spec.Yields || p.departure.stopping || p.departure.moving || s.stopping || pl.gone || pl.current != p || pl.turn != nil {
		return
	}
	s.cfg.Log.Warn("process is leaving by itself; starting its replacement", "process", p.spec.Name, "pid", p.pid())
	p.departure.stopping = true
	p.departure.killLater(p.stopTimeout())
	if err := s.reload([]Spec{pl.spec}, 1, nil); err != nil {
		s.cfg.Log.Warn("the new process starts after this one has ended", "process", p.spec.Name, "error", err)
	}
}
