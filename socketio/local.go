package socketio

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// local is a namespace as its adapter sees it.
type local struct{ n *Namespace }

var (
	_ cluster.Local       = local{}
	_ cluster.RoomWatcher = local{}
)

func (l local) Name() string                       { return l.n.name }
func (l local) HasRoom(room []byte) bool           { return l.n.rooms.has(room) }
func (l local) Rooms() []string                    { return l.n.rooms.names() }
func (l local) sockets(t cluster.Target) []*Socket { return l.n.rooms.matching(nil, &t) }

// WatchRooms implements cluster.RoomWatcher.
func (l local) WatchRooms(changed func(room, id string, occupied bool)) {
	l.n.OnRoom(func(e RoomEvent) {
		switch e.Change {
		case RoomJoined:
			changed(e.Room, e.ID, true)
		case RoomDeleted:
			changed(e.Room, "", false)
		}
	})
}

func (l local) Deliver(b *cluster.Broadcast) {
	if l.n.recovery != nil {
		b = withOffset(b)
	}
	l.n.deliver(b)
}

func (l local) DeliverWithAck(b *cluster.Broadcast, timeout time.Duration, answered func(packet.Payload)) (clients int) {
	_, clients = l.n.deliverWithAck(b, timeout, func(args Args) { answered(args.Payload()) })
	return clients
}

func (l local) Fetch(t cluster.Target) []cluster.SocketInfo {
	sockets := l.sockets(t)
	infos := make([]cluster.SocketInfo, len(sockets))
	for i, s := range sockets {
		infos[i] = s.info()
	}
	return infos
}

// info describes the socket to other servers.
func (s *Socket) info() cluster.SocketInfo {
	info := cluster.SocketInfo{ID: s.id, Rooms: s.Rooms(), Data: []byte("{}")}
	var err error
	if info.Handshake, err = s.Handshake().MarshalJSON(); err != nil { // an app changed it
		s.undescribed(err)
	}
	if data := s.Data(); len(data) > 0 {
		if p, err := packet.EncodeArgs(data); err == nil {
			p = p.Single()
			info.Data, info.Attachments, info.Dates = p.JSON, p.Attachments, p.Dates
		} else {
			s.undescribed(err)
		}
	}
	return info
}

// undescribed logs that the socket can't be described completely.
func (s *Socket) undescribed(err error) {
	server := s.client.server
	server.notices.unencoded.at(&server.cfg.Log, zerolog.WarnLevel).Str("namespace", s.namespace).Str("socket", s.id).Err(err).Msg("socket's data cannot be encoded")
}

func (l local) ApplyJoin(t cluster.Target, rooms []string) {
	for _, s := range l.sockets(t) {
		s.Join(rooms...)
	}
}

func (l local) ApplyLeave(t cluster.Target, rooms []string) {
	for _, s := range l.sockets(t) {
		s.Leave(rooms...)
	}
}

func (l local) ApplyDisconnect(t cluster.Target, closeTransport bool) {
	for _, s := range l.sockets(t) {
		s.Disconnect(closeTransport)
	}
}

// ServerSideEvent runs the handlers on a goroutine of its own, since they may block.
func (l local) ServerSideEvent(p packet.Payload, reply func(packet.Payload)) {
	work := &l.n.server.work
	if !work.begin() {
		return // the server is about to leave the cluster, and is not waited for then
	}
	go func() {
		defer work.done()
		l.n.raise(p, reply)
	}()
}
