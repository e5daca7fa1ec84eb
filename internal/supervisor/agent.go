package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// Agent binds the processes of a place to the process of another place, their agent. The agent
// learns about each of them over its line (package lifeline), and may report them ready, alive and
// drained. The supervisor starts such a process only while its agent is ready, and ends it with the
// agent.
type Agent struct {
	Place string // the agent's place
	Hook  Hook   // nil: the agent learns only when a process drains and when it has ended

	// Drain is how long the agent may take to move the sessions of a process away before the
	// supervisor replaces or removes the process. Zero means that there are none to move.
	Drain time.Duration
}

// Hook binds each process of a spec to its agent. The supervisor calls it from Run's goroutine.
type Hook interface {
	// Bind is called before a process starts. It adds to b what the process inherits.
	Bind(b *Birth) (Bond, error)
}

// Bond binds one process to its agent. The supervisor calls it from Run's goroutine.
type Bond interface {
	// Announce tells the agent that the process has started.
	Announce(agent *lifeline.End, pid int) error

	// Send has the agent send the process a message. It returns ErrNoChannel if the process takes
	// none.
	Send(agent *lifeline.End, message json.RawMessage) error

	// AsksToLeave reports whether the process asked for a successor with this message.
	AsksToLeave(message json.RawMessage) bool

	// Close releases what was prepared and not announced. It may be called again.
	Close() error
}

// Birth is a process that is about to start.
type Birth struct {
	Name string // of its place
	ID   int    // the agent's name for this process: from 1, and within an int32
	Port int    // a port of its own, which Bind may set: Status shows it, and a Readiness.Probe can ask it

	in *inheritance
}

// Inherit passes a file on to the process and returns its descriptor there. The supervisor closes f
// once the process has started, or has failed to.
func (b *Birth) Inherit(f *os.File) int { return b.in.add(f) }

// Setenv adds a variable to the environment of the process.
func (b *Birth) Setenv(name, value string) { b.in.env = append(b.in.env, name+"="+value) }

// agentOf returns the process that looks after those of a spec; nil while none is ready.
func (s *Supervisor) agentOf(spec *Spec) *process {
	pl := s.find(spec.Agent.Place)
	if pl == nil || pl.current == nil || !pl.current.ready || pl.current.stopping || pl.current.over() {
		return nil
	}
	return pl.current
}

// over reports whether an agent has ended, or is about to: the kernel closes the files of a process,
// by which others learn of its end, before it reports the end to the supervisor.
func (p *process) over() bool { return p.line == nil || p.line.Ended() }

// bind gives a process its number, and what its hook has it inherit.
func (s *Supervisor) bind(p *process, in *inheritance) error {
	a := p.spec.Agent
	if p.agent = s.agentOf(p.spec); p.agent == nil {
		return fmt.Errorf("%s is not ready", a.Place)
	}
	p.id = s.nextID
	s.nextID = s.nextID%(1<<31-1) + 1
	if a.Hook == nil {
		return nil
	}
	b := &Birth{Name: p.spec.Name, ID: p.id, in: in}
	var err error
	p.bond, err = a.Hook.Bind(b)
	p.port = b.Port
	return err
}

// announce tells the agent of a process that it has started.
func (s *Supervisor) announce(p *process) {
	if p.bond == nil {
		return
	}
	if err := p.bond.Announce(p.agent.line, p.pid()); err != nil {
		s.hang(p.agent, err.Error())
	}
}

// hang kills a process that doesn't respond any more.
func (s *Supervisor) hang(p *process, why string) {
	if s.running[p] && !p.stopping {
		s.cfg.Log.Error().Str("process", p.spec.Name).Int("pid", p.pid()).Str("cause", why).Msg("process hangs: killed")
		p.killAll()
	}
}

// forsake tells the agent of a process that it has ended, and ends those whose agent it was.
func (s *Supervisor) forsake(p *process) {
	if p.agent != nil && s.running[p.agent] {
		p.agent.line.Tell(lifeline.Exited, p.idText(), nil) // an error means that the agent has ended, too
	}
	for q := range s.running {
		if q.agent == p && !q.cut {
			q.cut = true
			s.terminate(q, s.stopTimeout(q))
		}
	}
}

// ward returns the process that an agent reports on; nil if it has ended meanwhile.
func (s *Supervisor) ward(agent *process, id string) *process {
	for p := range s.running {
		if p.agent == agent && p.idText() == id {
			return p
		}
	}
	return nil
}

// agentReported takes an agent's report on a process.
func (s *Supervisor) agentReported(agent *process, value string) {
	var r lifeline.ChildReport
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		s.cfg.Log.Warn().Str("process", agent.spec.Name).Err(err).Msg("unreadable report on a child")
		return
	}
	p := s.ward(agent, r.ID)
	if p == nil {
		s.quiet = true
		return
	}
	switch r.State {
	case lifeline.ChildAlive:
		s.beaten(p)
		s.quiet = true
	case lifeline.ChildReady:
		if r.Worker != "" {
			p.note(lifeline.Worker, r.Worker)
		}
		p.note(ReadyBy, r.By)
		s.becameReady(p)
	case lifeline.ChildDrained:
		if p.leaving {
			p.leaving = false
			s.terminate(p, s.stopTimeout(p))
		}
	case lifeline.ChildMessage:
		s.messaged(p, r.Message)
	}
}

// ReadyBy is the attribute with an agent's reason to call a process ready: "listening", "adapter",
// "ready", "port".
const ReadyBy = "by"

// messaged takes a message of a process to its parent.
func (s *Supervisor) messaged(p *process, raw json.RawMessage) {
	if p.bond != nil && p.bond.AsksToLeave(raw) && p.place.current == p && !p.stopping {
		s.cfg.Log.Info().Str("process", p.spec.Name).Msg("process asks to be replaced")
		s.refresh(p.place)
	}
}

// agentListens takes the request of a process, by its agent, to be served at an address.
func (s *Supervisor) agentListens(agent *process, value string) {
	var r lifeline.ListenReport
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return
	}
	if p := s.ward(agent, r.ID); p != nil && s.cfg.OnListen != nil {
		name := p.spec.Name
		s.tellInOrder(func() { s.cfg.OnListen(name, r.Addr) })
	}
}

// message has the agent of a process send it a message.
func (s *Supervisor) message(p *process, m json.RawMessage) error {
	if p.bond == nil || !s.running[p.agent] {
		return ErrNoChannel
	}
	return p.bond.Send(p.agent.line, m)
}

func (p *process) idText() string {
	if p.id == 0 {
		return ""
	}
	return strconv.Itoa(p.id)
}

// closeBond releases what a process was to be bound by, unless its agent has it.
func (p *process) closeBond() error {
	if p.bond == nil {
		return nil
	}
	return p.bond.Close()
}

// tellInOrder calls f in a goroutine, after those of earlier calls have returned.
func (s *Supervisor) tellInOrder(f func()) {
	before, done := s.told, make(chan struct{})
	s.told = done
	s.followers.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		f()
	})
}
