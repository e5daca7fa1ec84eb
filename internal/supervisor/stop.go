package supervisor

import "time"

// lastBreath is what a stage gets, even where the ones before used up the time.
const lastBreath = time.Second

// stop begins the end: nothing is restarted any more, no connection is queued, and the lowest stage is told to stop.
func (s *Supervisor) stop() {
	if s.stopping {
		return
	}
	s.stopping = true
	s.roll = nil
	s.deadline = time.Now().Add(s.cfg.StopTimeout)
	s.closeListeners()
	s.stage = s.nextStage(0)
	s.stopStage()
}

// advance goes on to the next stage once the present one needs no more waiting for.
func (s *Supervisor) advance() {
	if !s.stopping {
		return
	}
	for p := range s.running {
		if p.place.spec.Stage <= s.stage && !(p.place.spec.Yields && p.draining) {
			return
		}
	}
	if next := s.nextStage(s.stage + 1); next > s.stage {
		s.stage = next
		s.stopStage()
	}
}

// stopStage tells the processes of the present stage to stop.
func (s *Supervisor) stopStage() {
	left := max(time.Until(s.deadline), min(lastBreath, s.cfg.StopTimeout))
	for p := range s.running {
		if p.place.spec.Stage == s.stage {
			s.terminate(p, left)
		}
	}
}

// nextStage is the lowest stage from the given one on with a process that runs; -1: none.
func (s *Supervisor) nextStage(from int) int {
	next := -1
	for p := range s.running {
		if st := p.place.spec.Stage; st >= from && (next < 0 || st < next) {
			next = st
		}
	}
	return next
}

// closeListeners drops our copies of the inherited sockets: once the children that serve them have closed theirs,
// connections are refused, and a load balancer goes elsewhere.
func (s *Supervisor) closeListeners() {
	for _, pl := range s.places {
		for _, l := range pl.spec.Listeners {
			l.Close()
		}
	}
}
