package supervisor

import (
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

const (
	// lookInterval is how often the supervisor looks whether its processes are alive.
	lookInterval = 250 * time.Millisecond

	// missing is how long a process's next beat may be overdue before nothing new should be given
	// to it.
	missing = time.Second

	// agentBeats is how often a process beats by way of its agent.
	agentBeats = time.Second

	// repeatLooks is how many looks pass before others are told again of a process that is still
	// silent.
	repeatLooks = 4

	// stuckLooks is how many looks in a row have to find a process frozen.
	stuckLooks = 2

	// memoryLooks is how many looks pass between two at the memory of processes that have a limit.
	memoryLooks = 40
)

// Silence is a worker that has missed its beats, or gives them again.
type Silence struct {
	Name   string
	Worker string // as the process has reported itself
	Silent bool
}

// lookAfter finds processes that have stopped to beat. First others are told, so that they give
// them nothing new. Then they are killed: one that is frozen takes no signal but that. Time in
// which the supervisor itself did not run, because it was stopped, or the whole machine, or others
// had the processor, counts for nobody's silence.
func (s *Supervisor) lookAfter(now time.Time) {
	s.quiet = true
	now = now.Round(0) // by the wall: the monotonic clock may stand still while a machine sleeps
	var blind time.Duration
	if gap := now.Sub(s.looked); !s.looked.IsZero() && gap > 3*lookInterval {
		blind = gap
	}
	s.looked = now
	s.looks++
	for p := range s.running {
		beat := p.beat.Load()
		if beat == 0 || p.stopping {
			continue
		}
		if blind > 0 {
			p.beat.CompareAndSwap(beat, min(beat+int64(blind), now.UnixNano()))
			continue
		}
		silent := now.Sub(time.Unix(0, beat))
		s.tellSilence(p, silent > p.beatEvery()+missing)
		switch limit := &p.spec.AliveTimeout; {
		case *limit == 0:
		case silent > *limit, s.isFrozen(p, silent):
			s.hang(p, "no sign of life for "+silent.Round(100*time.Millisecond).String())
		}
	}
	if s.looks%memoryLooks == 0 {
		s.lookAtMemory()
	}
}

// beatEvery is how long after a beat the next is due.
func (p *process) beatEvery() time.Duration {
	if every := p.every.Load(); every > 0 {
		return time.Duration(every)
	}
	return agentBeats
}

// isFrozen tells whether a process that beats by a line has been silent for its FreezeTimeout, and
// not for want of a processor: such a goroutine waits for nothing else.
func (s *Supervisor) isFrozen(p *process, silent time.Duration) bool {
	limit := p.spec.FreezeTimeout
	if every := time.Duration(p.every.Load()); limit == 0 || every == 0 || silent <= limit || silent <= 2*every || !Frozen(p.pid()) {
		p.stuck = 0
		return false
	}
	p.stuck++
	return p.stuck >= stuckLooks
}

// tellSilence tells others of a worker that has fallen silent, again and again in case that they
// missed it, and once that it is heard again.
func (s *Supervisor) tellSilence(p *process, silent bool) {
	if p.silent == silent && (!silent || s.looks%repeatLooks != 0) {
		return
	}
	if p.silent != silent {
		s.cfg.Log.Warn().Str("process", p.spec.Name).Int("pid", p.pid()).Bool("silent", silent).Msg("process has missed its beats, or beats again")
	}
	p.silent = silent
	if worker := p.attrs[lifeline.Worker]; worker != "" && s.cfg.OnSilent != nil {
		told := Silence{Name: p.spec.Name, Worker: worker, Silent: silent}
		s.tellInOrder(func() { s.cfg.OnSilent(told) })
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
