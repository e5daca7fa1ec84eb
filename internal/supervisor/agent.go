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

// attachment is what ties a process to its agent. Its zero value is that of a process without one.
type attachment struct {
	p     *process
	agent *process
	bond  Bond // nil: the spec has no Hook
	id    int  // the agent's name for the process
	port  int  // of its own; 0: none
	lost  bool // the agent has ended: the process ends, too, and that is no fault of its own
}

// idText returns the id as agents read it; empty without an agent.
func (a *attachment) idText() string {
	if a.id == 0 {
		return ""
	}
	return strconv.Itoa(a.id)
}

// close releases what the bond holds until the agent has it.
func (a *attachment) close() error {
	if a.bond == nil {
		return nil
	}
	return a.bond.Close()
}

// bind ties a process that is about to start to its agent.
func (a *attachment) bind(in *inheritance) error {
	p, s := a.p, a.p.sup
	if a.agent = p.place.agent(); a.agent == nil {
		return fmt.Errorf("%s is not ready", p.spec.Agent.Place)
	}
	a.id = s.nextID
	s.nextID = s.nextID%(1<<31-1) + 1
	if p.spec.Agent.Hook == nil {
		return nil
	}
	b := &Birth{Name: p.spec.Name, ID: a.id, in: in}
	var err error
	a.bond, err = p.spec.Agent.Hook.Bind(b)
	a.port = b.Port
	return err
}

// announce tells the agent that the process has started.
func (a *attachment) announce() {
	if a.bond == nil {
		return
	}
	if err := a.bond.Announce(a.agent.line, a.p.pid()); err != nil {
		a.agent.hangs(err.Error())
	}
}

// ended tells the agent that the process has ended.
func (a *attachment) ended() {
	if a.agent != nil && a.agent.runs() {
		a.agent.line.Tell(lifeline.Exited, a.idText(), nil) // an error means that the agent has ended, too
	}
}

// noteLoss notes an agent's end that may be reported after that of its wards.
func (a *attachment) noteLoss() { a.lost = a.lost || a.agent != nil && a.agent.hungUp() }

// send has the agent send the process a message.
func (a *attachment) send(m json.RawMessage) error {
	if a.bond == nil || !a.agent.runs() {
		return ErrNoChannel
	}
	return a.bond.Send(a.agent.line, m)
}

// messaged takes a message of a process to its parent.
func (a *attachment) messaged(raw json.RawMessage) {
	p := a.p
	if a.bond != nil && a.bond.AsksToLeave(raw) && p.place.current == p && !p.departure.stopping {
		p.sup.cfg.Log.Info("process asks to be replaced", "process", p.spec.Name)
		p.place.renew()
		return
	}
	if s := p.sup; s.cfg.OnMessage != nil {
		s.loop.tell(func() { s.cfg.OnMessage(p.spec.Name, raw) })
	}
}

// hungUp reports whether an agent has ended, or is about to: the kernel closes the files of a
// process, by which others learn of its end, before it reports the end to the supervisor.
func (p *process) hungUp() bool { return p.line == nil || p.line.Ended() }

// wards are the processes whose agent a process is.
type wards struct{ agent *process }

// find returns the process that the agent reports on; nil if it has ended meanwhile.
func (w wards) find(id string) *process {
	for ward := range w.agent.sup.running {
		if ward.attachment.agent == w.agent && ward.attachment.idText() == id {
			return ward
		}
	}
	return nil
}

// reported takes the agent's report on one of its wards.
func (w wards) reported(value string) {
	s := w.agent.sup
	var r lifeline.ChildReport
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		s.cfg.Log.Warn("unreadable report on a child", "process", w.agent.spec.Name, "error", err)
		return
	}
	ward := w.find(r.ID)
	if ward == nil {
		s.loop.quiet = true
		return
	}
	switch r.State {
	case lifeline.ChildLoaded:
		ward.readiness.loaded()
	case lifeline.ChildAlive:
		ward.pulse.beatByAgent()
		s.loop.quiet = true
	case lifeline.ChildReady:
		if r.Worker != "" {
			ward.note(lifeline.Worker, r.Worker)
		}
		ward.note(ReadyBy, r.By)
		ward.readiness.sign()
	case lifeline.ChildAdapters:
		ward.note(lifeline.ChildAdapters, strconv.Itoa(r.Adapters))
	case lifeline.ChildDrained:
		ward.departure.moved()
	case lifeline.ChildMessage:
		ward.attachment.messaged(r.Message)
	}
}

// ReadyBy is the attribute with an agent's reason to call a process ready: "listening", "adapter",
// "ready", "port".
const ReadyBy = "by"

// listens takes the request of a ward to be served at an address.
func (w wards) listens(value string) {
	var r lifeline.ListenReport
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return
	}
	s := w.agent.sup
	if ward := w.find(r.ID); ward != nil && s.cfg.OnListen != nil {
		name := ward.spec.Name
		s.loop.tell(func() { s.cfg.OnListen(name, r.Addr) })
	}
}

// lose ends the wards of an agent that has ended.
func (w wards) lose() {
	for ward := range w.agent.sup.running {
		if ward.attachment.agent == w.agent && !ward.attachment.lost {
			ward.attachment.lost = true
			ward.departure.terminate(ward.stopTimeout())
		}
	}
}
