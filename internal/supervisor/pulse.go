package supervisor

import (
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

const (
	// lookInterval is how often the supervisor looks whether its processes are alive: when they beat.
	lookInterval = lifeline.BeatInterval

	// missing is how long a process's next beat may be overdue before others are told to give it
	// nothing new.
	missing = time.Second

	// agentBeats is how often a process beats by way of its agent.
	agentBeats = time.Second

	// repeatLooks is the number of looks between two reports of a process that stays silent.
	repeatLooks = 4

	// stuckLooks is how many looks in a row have to find a process frozen.
	stuckLooks = 2

	// memoryLooks is the number of looks between two at the memory of processes that have a limit.
	memoryLooks = 40
)

// Silence is a worker that has missed its beats, or sends them again.
type Silence struct {
	Name   string
	Worker string // as the process has reported itself
	Silent bool
}

// pulse is how a process shows that it is alive.
type pulse struct {
	last  atomic.Int64 // the last beat, as unix nanoseconds; 0: there was none. Set by any goroutine
	every atomic.Int64 // nanoseconds between two beats, as the process announced. Set by any goroutine

	silent bool // it has missed its beats, and others were told
	stuck  int  // looks in a row that found it frozen
}

// beat takes a beat that a process sent itself; the next is due after every.
func (u *pulse) beat(every time.Duration) {
	u.every.Store(int64(every))
	u.last.Store(time.Now().UnixNano())
}

// beatByAgent takes a beat that the agent reports.
func (u *pulse) beatByAgent() { u.last.Store(time.Now().UnixNano()) }

// interval returns how long after a beat the next one is due.
func (u *pulse) interval() time.Duration {
	if every := u.every.Load(); every > 0 {
		return time.Duration(every)
	}
	return agentBeats
}

// excuse moves the last beat on by a time in which nobody could have heard a beat.
func (u *pulse) excuse(blind time.Duration, now time.Time) {
	last := u.last.Load()
	u.last.CompareAndSwap(last, min(last+int64(blind), now.UnixNano()))
}

// frozen reports whether a process that beats by its line has been silent for longer than limit, and
// not for want of a processor: the goroutine that beats waits for nothing else.
func (u *pulse) frozen(silent, limit time.Duration, pid func() int) bool {
	if every := time.Duration(u.every.Load()); limit == 0 || every == 0 || silent <= limit || silent <= 2*every || !Frozen(pid()) {
		u.stuck = 0
		return false
	}
	u.stuck++
	return u.stuck >= stuckLooks
}

// lookout remembers the supervisor's looks at its processes.
type lookout struct {
	last  time.Time
	count int
}

// blind returns how long the supervisor itself didn't run, because it was stopped, or the machine
// was, or other processes had the processor. That time counts for no process's silence.
func (l *lookout) blind(now time.Time) (gap time.Duration) {
	if d := now.Sub(l.last); !l.last.IsZero() && d > 3*lookInterval {
		gap = d
	}
	l.last = now
	l.count++
	return gap
}

// lookAfter finds processes that have stopped beating. It first tells others, so that they give them
// nothing new. Later it kills the process: one that is frozen heeds no other signal.
func (s *Supervisor) lookAfter(now time.Time) {
	s.loop.quiet = true
	now = now.Round(0) // by the wall: the monotonic clock may stand still while a machine sleeps
	blind := s.lookout.blind(now)
	for p := range s.running {
		last := p.pulse.last.Load()
		if last == 0 || p.departure.stopping {
			continue
		}
		if blind > 0 {
			p.pulse.excuse(blind, now)
			continue
		}
		silent := now.Sub(time.Unix(0, last))
		p.tellSilence(silent > p.pulse.interval()+missing)
		switch limit := p.spec.AliveTimeout; {
		case limit == 0:
		case silent > limit, p.pulse.frozen(silent, p.spec.FreezeTimeout, p.pid):
			p.hangs("no sign of life for " + silent.Round(100*time.Millisecond).String())
		}
	}
	if s.lookout.count%memoryLooks == 0 {
		s.lookAtMemory()
	}
}

// lookAtMemory replaces processes that use more memory than they may.
func (s *Supervisor) lookAtMemory() {
	for p := range s.running {
		pl := p.place
		if p.spec.MemoryLimit == 0 || pl.current != p || pl.turn != nil || p.departure.stopping {
			continue
		}
		if memory, _ := Usage(p.pid()); memory > p.spec.MemoryLimit {
			s.cfg.Log.Warn("process uses too much memory: replaced", "process", p.spec.Name, "pid", p.pid(), "memory_bytes", memory, "limit_bytes", p.spec.MemoryLimit)
			s.loop.quiet = false
			pl.renew()
		}
	}
}

// tellSilence tells others about a worker that is silent, repeatedly in case they missed it, and once
// that it beats again.
func (p *process) tellSilence(silent bool) {
	s, u := p.sup, &p.pulse
	if u.silent == silent && (!silent || s.lookout.count%repeatLooks != 0) {
		return
	}
	if u.silent != silent {
		s.cfg.Log.Warn("process missed its heartbeats, or sends them again", "process", p.spec.Name, "pid", p.pid(), "silent", silent)
	}
	u.silent = silent
	if worker := p.attrs[lifeline.Worker]; worker != "" && s.cfg.OnSilent != nil {
		told := Silence{Name: p.spec.Name, Worker: worker, Silent: silent}
		s.loop.tell(func() { s.cfg.OnSilent(told) })
	}
}

// hangs kills a process that doesn't respond any more.
func (p *process) hangs(why string) {
	if p.runs() && !p.departure.stopping {
		p.sup.cfg.Log.Error("process hangs: killed", "process", p.spec.Name, "pid", p.pid(), "cause", why)
		p.group.kill()
	}
}
