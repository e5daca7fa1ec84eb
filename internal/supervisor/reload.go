package supervisor

import "time"

// roll is a reload under way: one place after the other gets a successor, which must be ready before the old process is
// told to drain, and the old one must have ended before the next place's turn.
type roll struct {
	group   string
	left    []*place // places to come
	place   *place   // whose turn it is
	old     *process // drains
	timeout *time.Timer
	done    int
}

// Reload replaces the processes of a group one by one without a gap. It returns at once; while one is under way, further
// calls do nothing. A successor that does not get ready ends the reload, and the old process stays.
func (s *Supervisor) Reload(group string) {
	s.post(func() {
		if s.stopping {
			return
		}
		if s.roll != nil {
			s.cfg.Log.Warn().Str("group", s.roll.group).Msg("reload already under way")
			return
		}
		r := &roll{group: group}
		for _, pl := range s.places {
			if pl.spec.group() == group && pl.current != nil {
				r.left = append(r.left, pl)
			}
		}
		s.roll = r
		s.cfg.Log.Info().Str("group", group).Int("processes", len(r.left)).Msg("reload begins")
		s.rollOn()
	})
}

// rollOn gives the next place its turn.
func (s *Supervisor) rollOn() {
	r := s.roll
	r.place, r.old = nil, nil
	for len(r.left) > 0 {
		pl := r.left[0]
		r.left = r.left[1:]
		if pl.current == nil {
			continue // between two processes: the next one is new anyway
		}
		p, err := s.start(pl)
		if err != nil {
			s.rollBack(pl, err.Error())
			return
		}
		r.place, pl.next = pl, p
		s.running[p] = true
		r.timeout = s.later(s.cfg.ReadyTimeout, func() {
			if s.roll != r || r.place != pl || r.old != nil {
				return
			}
			if pl.next == p {
				p.stopping = true
				p.killGroup()
			}
			s.rollBack(pl, "not ready in time")
		})
		return
	}
	s.roll = nil
	s.cfg.Log.Info().Str("group", r.group).Int("processes", r.done).Msg("reload done")
}

// rollBack ends a reload that failed. What has been replaced stays so.
func (s *Supervisor) rollBack(pl *place, why string) {
	s.roll = nil
	s.cfg.Log.Error().Str("process", pl.spec.Name).Str("cause", why).Msg("reload given up: the old process stays")
}

// rollReady goes on when the process that a reload waits for has become ready.
func (s *Supervisor) rollReady(p *process) {
	r, pl := s.roll, p.place
	if r == nil || r.place != pl || r.old != nil || (pl.next != nil && pl.next != p) {
		return
	}
	s.cancel(r.timeout)
	r.done++
	if pl.next == nil {
		s.rollOn() // the old one died before: there is none to drain
		return
	}
	r.old = pl.current
	pl.current, pl.next = p, nil
	s.terminate(r.old, s.cfg.StopTimeout)
}

// rollEnded goes on when a process has ended that a reload waits for; successor says that p was to take over.
func (s *Supervisor) rollEnded(p *process, successor bool, cause string) {
	r := s.roll
	switch {
	case r == nil || r.place != p.place:
	case r.old == p:
		s.rollOn()
	case successor:
		s.cancel(r.timeout)
		s.rollBack(p.place, cause)
	}
}
