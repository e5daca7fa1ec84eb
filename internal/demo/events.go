package demo

import (
	"context"

	"github.com/sidereal-io/sidereal/socketio"
)

// whoami tells a client about its own connection.
type whoami struct {
	SID       string `json:"sid"`
	ID        string `json:"id"`
	Worker    string `json:"worker"`
	Slot      int    `json:"slot"`
	Host      string `json:"host"`
	Transport string `json:"transport"`
}

// workerInfo is one worker's answer to the event `workers`.
type workerInfo struct {
	Worker  string `json:"worker"`
	Host    string `json:"host"`
	PID     int    `json:"pid"`
	Clients int    `json:"clients"`
}

// answerEvents registers the events that scripts may rely on.
func (d *demo) answerEvents() {
	d.io.On("echo", d.echo)
	d.io.On("join", func(s *socketio.Socket, room string) string { s.Join(room); return "ok" })
	d.io.On("leave", func(s *socketio.Socket, room string) string { s.Leave(room); return "ok" })
	d.io.On("say", d.say)
	d.io.On("count", d.count)
	d.io.On("whoami", d.whoami)
	d.io.On("workers", d.workers)
	d.io.OnServer("workers", d.worker)
}

// echo returns its arguments unchanged, as the ack or, without one, as an event.
func (d *demo) echo(s *socketio.Socket, args socketio.Args, ack socketio.Ack) error {
	if ack != nil {
		return ack(args)
	}
	return s.Emit("echo", args)
}

// said is a message. The server adds who says it, and where.
type said struct {
	Room   string         `json:"room,omitzero"`
	Msg    any            `json:"msg"` // may be binary
	From   string         `json:"from"`
	Worker string         `json:"worker"`
	Rest   map[string]any `json:",embed"` // whatever else the object had
}

// say sends the client's message to a room on all hosts, or to everyone.
func (d *demo) say(s *socketio.Socket, m said) (string, error) {
	m.From, m.Worker = s.ID(), d.me.ID
	to := d.io.To()
	if m.Room != "" {
		to = to.To(m.Room)
	}
	return "ok", to.Emit("said", m)
}

// count returns the number of sockets in the cluster, or in one room.
func (d *demo) count(ctx context.Context, room string) (int, error) {
	to := d.io.To()
	if room != "" {
		to = to.To(room)
	}
	sockets, err := to.FetchSockets(ctx)
	return len(sockets), err
}

func (d *demo) whoami(s *socketio.Socket) whoami {
	return whoami{SID: s.SID(), ID: s.ID(), Worker: d.me.ID, Slot: d.me.Slot, Host: d.me.Host, Transport: s.Transport()}
}

// workers lists all workers of the cluster.
func (d *demo) workers(ctx context.Context) ([]workerInfo, error) {
	answers, err := d.io.ServerSideEmitWithAck(ctx, "workers")
	all := []workerInfo{d.worker()}
	for _, a := range answers {
		var w workerInfo
		if a.Err() == nil && a.Decode(0, &w) == nil {
			all = append(all, w)
		}
	}
	return all, err
}

func (d *demo) worker() workerInfo {
	return workerInfo{Worker: d.me.ID, Host: d.me.Host, PID: d.pid, Clients: d.io.Engine().Len()}
}
