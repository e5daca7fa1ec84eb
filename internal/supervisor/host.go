package supervisor

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// hostOf is the process that looks after those of a spec; nil while there is none that is ready.
func (s *Supervisor) hostOf(spec *Spec) *process {
	pl := s.find(spec.Host.Place)
	if pl == nil || pl.current == nil || !pl.current.ready || pl.current.stopping || pl.current.over() {
		return nil
	}
	return pl.current
}

// over reports whether a process that looks after others has ended, or is about to: the kernel closes what it had open, by
// which those others learn of it, before it tells of its end.
func (p *process) over() bool { return p.line == nil || p.line.Ended() }

// addHosted gives a process what binds it to its host: a number, a channel, a port.
func (s *Supervisor) addHosted(p *process, in *inheritance) error {
	h := p.spec.Host
	if p.host = s.hostOf(p.spec); p.host == nil {
		return fmt.Errorf("%s is not there", h.Place)
	}
	p.id = s.nextID
	s.nextID = s.nextID%(1<<31-1) + 1 // Node reads it as an int32
	if h.Channel != "" {
		theirs, ours, err := lifeline.SocketPair("channel")
		if err != nil {
			return fmt.Errorf("channel: %w", err)
		}
		p.channel = ours
		in.env = append(in.env, fmt.Sprintf("NODE_CHANNEL_FD=%d", in.add(theirs)), "NODE_CHANNEL_SERIALIZATION_MODE="+h.Channel)
		if h.Cluster {
			in.env = append(in.env, "NODE_UNIQUE_ID="+strconv.Itoa(p.id))
		}
	}
	if h.Port {
		port, err := freePort()
		if err != nil {
			p.closeChannel()
			return fmt.Errorf("port: %w", err)
		}
		p.port = port
		in.env = append(in.env, "PORT="+strconv.Itoa(port))
	}
	return nil
}

// freePort is a port of the loopback interface that nobody had a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// tellHost hands a process that has just been started to its host.
func (s *Supervisor) tellHost(p *process) {
	h := p.spec.Host
	if h == nil {
		return
	}
	var err error
	if h.Channel != "" {
		var channel *os.File
		channel, p.channel = p.channel, nil
		err = p.host.line.TellJSON(lifeline.Channel, lifeline.ChannelTold{
			ID: p.idText(), Name: p.spec.Name, Slot: h.Slot, PID: p.pid(), Mode: h.Channel, Cluster: h.Cluster, WaitReady: h.WaitReady,
		}, channel)
	}
	if h.Port && err == nil {
		err = p.host.line.TellJSON(lifeline.Port, lifeline.PortTold{
			ID: p.idText(), Name: p.spec.Name, Slot: h.Slot, PID: p.pid(), Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)),
		}, nil)
	}
	if err != nil {
		s.hang(p.host, err.Error())
	}
}

// hang ends a process that takes nothing any more.
func (s *Supervisor) hang(p *process, why string) {
	if s.running[p] && !p.stopping {
		s.cfg.Log.Error().Str("process", p.spec.Name).Int("pid", p.pid()).Str("cause", why).Msg("process hangs: killed")
		p.killAll()
	}
}

// forsake tells the host of a process that it has ended, and ends those that it was the host of.
func (s *Supervisor) forsake(p *process) {
	if p.host != nil && s.running[p.host] {
		p.host.line.Tell(lifeline.Exited, p.idText(), nil) // an error is that the host has ended: it need not know
	}
	for q := range s.running {
		if q.host == p && !q.cut {
			q.cut = true
			s.terminate(q, s.stopTimeout(q))
		}
	}
}

// hosted is the process that a host speaks of; nil: it has ended meanwhile.
func (s *Supervisor) hosted(host *process, id string) *process {
	for p := range s.running {
		if p.host == host && p.idText() == id {
			return p
		}
	}
	return nil
}

// hostReported takes what a host says of a process.
func (s *Supervisor) hostReported(host *process, value string) {
	var r lifeline.ChildReport
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		s.cfg.Log.Warn().Str("process", host.spec.Name).Err(err).Msg("unreadable report of a child")
		return
	}
	p := s.hosted(host, r.ID)
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

// ReadyBy is the attribute with a host's reason to call a process ready: "listening", "adapter", "ready", "port".
const ReadyBy = "by"

// messaged takes a message of a process to its parent. recluster's workers ask to be replaced by {"cmd":"disconnect"}.
func (s *Supervisor) messaged(p *process, raw json.RawMessage) {
	var m struct {
		Cmd string `json:"cmd"`
	}
	if json.Unmarshal(raw, &m) == nil && m.Cmd == "disconnect" && p.place.current == p && !p.stopping {
		s.cfg.Log.Info().Str("process", p.spec.Name).Msg("process asks to be replaced")
		s.refresh(p.place)
	}
}

// hostListens takes the wish of a hosted process to be served at an address.
func (s *Supervisor) hostListens(host *process, value string) {
	var r lifeline.ListenReport
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return
	}
	if p := s.hosted(host, r.ID); p != nil && s.cfg.OnListen != nil {
		name := p.spec.Name
		s.tellInOrder(func() { s.cfg.OnListen(name, r.Addr) })
	}
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
