package socketio

import (
	"sync"

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

// Answer implements cluster.Local.
func (l local) Answer(q cluster.Question, answer func(cluster.Answer)) {
	switch q.Kind {
	case cluster.AskSockets:
		answer(cluster.Answer{Sockets: l.describe(q.Target)})
	case cluster.AskRooms:
		answer(cluster.Answer{Rooms: l.n.rooms.names()})
	case cluster.AskServers:
		l.raise(q.Event, func(p packet.Payload) { answer(cluster.Answer{Payload: p}) })
	case cluster.AskClients:
		l.askClients(q, answer)
	}
}

func (l local) askClients(q cluster.Question, answer func(cluster.Answer)) {
	var mu sync.Mutex // clients may answer while their number is reported
	say := func(a cluster.Answer) {
		mu.Lock()
		defer mu.Unlock()
		answer(a)
	}
	b := &cluster.Broadcast{Target: q.Target, Flags: q.Flags, Data: q.Event}
	_, clients := l.n.deliverWithAck(b, q.Timeout, func(args Args) {
		say(cluster.Answer{Ack: true, Payload: args.Payload()})
	})
	say(cluster.Answer{Clients: clients})
}

// describe describes the matching sockets here.
func (l local) describe(t cluster.Target) []cluster.SocketInfo {
	sockets := l.sockets(t)
	infos := make([]cluster.SocketInfo, len(sockets))
	for i, s := range sockets {
		infos[i] = s.info()
	}
	return infos
}

// info describes the socket to other servers.
func (s *Socket) info() cluster.SocketInfo {
	info := cluster.SocketInfo{ID: s.id, Rooms: s.Rooms(), Data: s.data().payload()}
	var err error
	if info.Handshake, err = s.Handshake().MarshalJSON(); err != nil { // an app changed it
		s.undescribed(err)
	}
	return info
}

// undescribed logs that the socket can't be described completely.
func (s *Socket) undescribed(err error) {
	server := s.client.server
	server.notices.unencoded.Warn(server.cfg.Log, "socket's handshake cannot be encoded", "namespace", s.namespace, "socket", s.id, "error", err)
}

// Apply implements cluster.Local.
func (l local) Apply(o cluster.Order) {
	if o.Kind == cluster.Raise {
		l.raise(o.Event, nil)
		return
	}
	for _, s := range l.sockets(o.Target) {
		switch o.Kind {
		case cluster.Join:
			s.Join(o.Rooms...)
		case cluster.Leave:
			s.Leave(o.Rooms...)
		case cluster.Disconnect:
			s.Disconnect(o.CloseTransport)
		}
	}
}

// raise runs the handlers of an event of another server on a goroutine of its own: they may block,
// and the adapter must go on. Reply is nil if nobody waits for an answer.
func (l local) raise(p packet.Payload, reply func(packet.Payload)) {
	l.n.aside(func() { l.n.raise(p, reply) })
}

// aside calls f, which may block, on a goroutine of its own.
func (n *Namespace) aside(f func()) {
	work := &n.server.work
	if !work.begin() {
		return // the server is about to leave the cluster, and doesn't wait for handlers then
	}
	go func() {
		defer work.done()
		f()
	}()
}
