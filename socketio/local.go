package socketio

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// local is a namespace as its adapter sees it.
type local struct{ n *Namespace }

var (
	_ Local       = local{}
	_ RoomWatcher = local{}
)

func (l local) Name() string                 { return l.n.name }
func (l local) HasRoom(room []byte) bool     { return l.n.rooms.has(room) }
func (l local) Rooms() []string              { return l.n.rooms.names() }
func (l local) WatchRooms(f func(RoomEvent)) { l.n.OnRoom(f) }
func (l local) sockets(t Target) []*Socket   { return l.n.rooms.matching(nil, &t) }

func (l local) Deliver(b *Broadcast) {
	if l.n.recovery != nil {
		b = b.withOffset()
	}
	l.n.deliver(b)
}

func (l local) DeliverWithAck(b *Broadcast, timeout time.Duration, answered func(Payload)) (clients int) {
	_, clients = l.n.deliverWithAck(b, timeout, func(args Args) { answered(args.Payload()) })
	return clients
}

func (l local) Fetch(t Target) []SocketInfo {
	sockets := l.sockets(t)
	infos := make([]SocketInfo, len(sockets))
	for i, s := range sockets {
		infos[i] = s.info()
	}
	return infos
}

// info describes the socket to other servers.
func (s *Socket) info() SocketInfo {
	info := SocketInfo{ID: s.id, Handshake: *s.Handshake(), Rooms: s.Rooms(), Data: []byte("{}")}
	if data := s.Data(); len(data) > 0 {
		if p, err := packet.EncodeArgs(data); err == nil {
			p = p.Single()
			info.Data, info.Attachments, info.Dates = p.JSON, p.Attachments, p.Dates
		} else {
			server := s.client.server
			server.notices.unencoded.at(&server.cfg.Log, zerolog.WarnLevel).Str("namespace", s.namespace).Str("socket", s.id).Err(err).Msg("socket's data cannot be encoded")
		}
	}
	return info
}

func (l local) ApplyJoin(t Target, rooms []string) {
	for _, s := range l.sockets(t) {
		s.Join(rooms...)
	}
}

func (l local) ApplyLeave(t Target, rooms []string) {
	for _, s := range l.sockets(t) {
		s.Leave(rooms...)
	}
}

func (l local) ApplyDisconnect(t Target, closeTransport bool) {
	for _, s := range l.sockets(t) {
		s.Disconnect(closeTransport)
	}
}

// ServerSideEvent runs the handlers on a goroutine of its own: they may block, and the adapter must go on.
func (l local) ServerSideEvent(p Payload, reply func(Payload)) {
	work := &l.n.server.work
	if !work.begin() {
		return // the server is about to leave the cluster, and is not waited for then
	}
	go func() {
		defer work.done()
		l.n.raise(p, reply)
	}()
}
