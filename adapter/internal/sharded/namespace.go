package sharded

import (
	"github.com/sidereal-io/sidereal/adapter/internal/joined"
	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// namespace is one namespace over sharded pub/sub.
type namespace struct {
	*link.Namespace
	form     *Form
	channels wire.Channels
	joined   joined.Rooms
}

var _ link.Protocol = (*namespace)(nil)

func (f *Form) newNamespace(name string) *namespace {
	n := &namespace{form: f, channels: wire.NewChannels(f.Config.Key, name)}
	n.Namespace = link.NewNamespace(f.Link, name, link.NewHexID(), n)
	return n
}

// Listen implements link.Protocol.
func (n *namespace) Listen() {
	f := n.form
	if f.Config.AskOnly {
		f.Sub.AddShards(n.Own)
		return
	}
	f.Sub.AddShards(n.channels.Main, n.Own)
	if w, ok := n.Local.(cluster.RoomWatcher); ok && (f.cfg.Mode != wire.Static || f.cfg.RoomChannel != nil) {
		w.WatchRooms(n.roomChanged)
	}
}

// Unlisten implements link.Protocol.
func (n *namespace) Unlisten() {
	n.form.Sub.RemoveShards(n.channels.Main, n.Own)
	n.form.rooms.forget(n)
}

// roomChanged follows a room. It is called after the change, and perhaps out of order, so it goes
// by whether somebody is in the room now.
func (n *namespace) roomChanged(room, id string, occupied bool) {
	if !occupied || n.listensTo(room, room == id) {
		n.form.rooms.update(n, n.channels.Room(room), room, occupied)
	}
}

// listensTo reports whether an occupied room has a channel of its own. Known says that the room is
// a socket's own.
func (n *namespace) listensTo(room string, known bool) bool {
	cfg := &n.form.cfg
	if cfg.RoomChannel != nil {
		return cfg.RoomChannel(n.Name, room)
	}
	return cfg.Mode == wire.DynamicPrivate || cfg.Mode == wire.Dynamic && !known
}

// speaksTo reports whether broadcasts to a room go to a channel of its own.
func (n *namespace) speaksTo(room string) bool {
	cfg := &n.form.cfg
	if cfg.RoomChannel != nil {
		return cfg.RoomChannel(n.Name, room)
	}
	return cfg.Mode.SpeaksTo(room)
}

// RequestChannel implements link.Protocol.
func (n *namespace) RequestChannel() string { return n.channels.Main }

// AnswerChannel implements link.Protocol.
func (n *namespace) AnswerChannel(uid string) string { return n.channels.AnswersTo(uid) }

// EncodeBroadcast implements link.Protocol.
func (n *namespace) EncodeBroadcast(b *cluster.Broadcast) (link.Message, error) {
	o := link.Options(b.Target, b.Flags)
	channel := n.channels.Main
	if len(o.Rooms) == 1 && n.speaksTo(o.Rooms[0]) && !n.joined.Has(o.Rooms[0]) {
		channel = n.channels.Room(o.Rooms[0])
	}
	msg, err := wire.AppendClusterBroadcast(make([]byte, 0, link.SizeOf(b)), n.UID, n.Name, b.Data, o)
	return link.Message{Channel: channel, Payload: msg}, err
}

// EncodeRequest implements link.Protocol.
func (n *namespace) EncodeRequest(q wire.Request) (link.Message, error) {
	if q.Type == wire.RemoteJoin {
		n.joined.Note(q.JoinLeave)
	}
	msg, err := wire.AppendClusterRequest(nil, n.Name, q)
	return link.Message{Channel: n.channels.Main, Payload: msg}, err
}

// EncodeAnswer implements link.Protocol.
func (n *namespace) EncodeAnswer(q wire.Request, a wire.Response) (link.Message, error) {
	msg, err := wire.AppendClusterResponse(nil, n.UID, n.Name, a)
	return link.Message{Channel: n.AnswerChannel(q.UID), Payload: msg}, err
}

// AsksRooms implements link.Protocol.
func (n *namespace) AsksRooms() bool { return false }

// TimeoutText implements link.Protocol.
func (n *namespace) TimeoutText(_ wire.RequestType, got, expected int) string {
	return link.EventTimeout(got, expected)
}
