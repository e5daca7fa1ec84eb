package node

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// ChannelHook is the [supervisor.Hook] of Node processes: it gives each an IPC channel, whose other
// end goes to the node host.
type ChannelHook struct {
	Mode    string // the channel's serialization, "advanced" or "json": what the parent passes to child_process.fork
	Slot    int    // SIDEREAL_WORKER_ID, from 1
	Cluster bool   // the process is a worker of Node's cluster module; else it was merely forked

	// Dir is the runtime folder, in which the process finds [Preload]; empty: it needs none. User
	// is the folder's owner; nil: this process' user.
	Dir  string
	User *supervisor.User

	// WaitReady says that the process is ready once it sends the message "ready", and not before.
	WaitReady bool
}

// PortHook is the [supervisor.Hook] of programs that serve HTTP at a port of their own. It finds
// each process a free port of the loopback interface, in PORT, and tells the node host where it is.
type PortHook struct {
	Slot int // SIDEREAL_WORKER_ID, from 1
}

var (
	_ supervisor.Hook = ChannelHook{}
	_ supervisor.Hook = PortHook{}
)

// Bind makes the channel, and sees to it that the preload script is there.
func (h ChannelHook) Bind(b *supervisor.Birth) (supervisor.Bond, error) {
	if h.Dir != "" {
		if err := writePreload(h.Dir, h.User); err != nil {
			return nil, fmt.Errorf("preload script: %w", err)
		}
	}
	theirs, ours, err := lifeline.SocketPair("channel")
	if err != nil {
		return nil, fmt.Errorf("channel: %w", err)
	}
	b.Setenv("NODE_CHANNEL_FD", strconv.Itoa(b.Inherit(theirs)))
	b.Setenv("NODE_CHANNEL_SERIALIZATION_MODE", h.Mode)
	if h.Cluster {
		b.Setenv("NODE_UNIQUE_ID", strconv.Itoa(b.ID))
	}
	return &channelBond{hook: h, id: strconv.Itoa(b.ID), name: b.Name, file: ours}, nil
}

// channelBond is one process with a channel.
type channelBond struct {
	hook     ChannelHook
	id, name string
	file     *os.File // the node host's end of the channel; nil once it has gone there
}

// Announce hands the channel to the node host.
func (c *channelBond) Announce(agent *lifeline.End, pid int) error {
	file := c.file
	c.file = nil // TellJSON owns it
	return agent.TellJSON(lifeline.Channel, lifeline.ChannelTold{
		ID: c.id, Name: c.name, Slot: c.hook.Slot, PID: pid,
		Mode: c.hook.Mode, Cluster: c.hook.Cluster, WaitReady: c.hook.WaitReady,
	}, file)
}

// Send sends message as a Node parent's child.send does.
func (c *channelBond) Send(agent *lifeline.End, message json.RawMessage) error {
	return agent.TellJSON(lifeline.Send, lifeline.SendTold{ID: c.id, Message: message}, nil)
}

// AsksToLeave recognizes {"cmd":"disconnect"}, by which recluster's workers ask to be replaced.
func (c *channelBond) AsksToLeave(message json.RawMessage) bool {
	var m struct {
		Cmd string `json:"cmd"`
	}
	return json.Unmarshal(message, &m) == nil && m.Cmd == "disconnect"
}

// Close closes the node host's end of the channel, unless the node host has it.
func (c *channelBond) Close() error {
	if c.file == nil {
		return nil
	}
	err := c.file.Close()
	c.file = nil
	return err
}

// Bind looks for a free port.
func (h PortHook) Bind(b *supervisor.Birth) (supervisor.Bond, error) {
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("port: %w", err)
	}
	b.Port = port
	b.Setenv("PORT", strconv.Itoa(port))
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return &portBond{lifeline.PortTold{ID: strconv.Itoa(b.ID), Name: b.Name, Slot: h.Slot, Addr: addr}}, nil
}

// freePort returns a port of the loopback interface that was free a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// portBond is one process with a port.
type portBond struct{ told lifeline.PortTold }

// Announce tells the node host where the process will serve.
func (p *portBond) Announce(agent *lifeline.End, pid int) error {
	p.told.PID = pid
	return agent.TellJSON(lifeline.Port, p.told, nil)
}

// Send returns supervisor.ErrNoChannel: programs with a port take no messages.
func (p *portBond) Send(*lifeline.End, json.RawMessage) error { return supervisor.ErrNoChannel }

// AsksToLeave is false: programs with a port send no messages.
func (p *portBond) AsksToLeave(json.RawMessage) bool { return false }

// Close does nothing: the port isn't held.
func (p *portBond) Close() error { return nil }
