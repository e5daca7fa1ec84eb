package supervisor

import "time"

const (
	// lookInterval is how often the supervisor looks whether its processes are alive.
	lookInterval = time.Second

	// memoryLooks is how many looks pass between two at the memory of processes that have a limit.
	memoryLooks = 10
)

// lookAfter kills processes that have stopped to beat: one that is stopped, or cannot get the processor, takes no signal but
// that. If the supervisor itself has been stopped meanwhile, or the whole machine, nobody is to blame: the look is left out.
func (s *Supervisor) lookAfter(now time.Time) {
	s.quiet = true
	now = now.Round(0) // by the wall: the monotonic clock may stand still while a machine sleeps
	late := !s.looked.IsZero() && now.Sub(s.looked) > 3*lookInterval
	s.looked = now
	for p := range s.running {
		beat := p.beat.Load()
		if beat == 0 || p.spec.AliveTimeout == 0 || p.stopping {
			continue
		}
		if late {
			p.beat.Store(now.UnixNano())
			continue
		}
		if silent := now.Sub(time.Unix(0, beat)); silent > p.spec.AliveTimeout {
			s.hang(p, "no sign of life for "+silent.Round(time.Second).String())
		}
	}
	if s.looks++; s.looks%memoryLooks == 0 {
		s.lookAtMemory()
	}
}

// refresh replaces the process of a place for a reason of its own.
func (s *Supervisor) refresh(pl *place) {
	if s.beginRoll([]Spec{pl.spec}, 1, nil) == nil {
		pl.renewed++
	}
}

// lookAtMemory has processes replaced that take more than they may.
func (s *Supervisor) lookAtMemory() {
	for p := range s.running {
		pl := p.place
		if p.spec.MemoryLimit == 0 || pl.current != p || pl.renewal != nil || p.stopping {
			continue
		}
		if memory, _ := Usage(p.pid()); memory > p.spec.MemoryLimit {
			s.cfg.Log.Warn().Str("process", p.spec.Name).Int("pid", p.pid()).Int64("bytes", memory).Int64("limit", p.spec.MemoryLimit).
				Msg("process takes too much memory: replaced")
			s.quiet = false
			s.refresh(pl)
		}
	}
}
