package socketio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Reasons of a disconnection, for OnDisconnect. Clients and Node servers use the same words.
const (
	ReasonTransportError    = engineio.TransportError
	ReasonTransportClose    = engineio.TransportClose
	ReasonForcedClose       = engineio.ForcedClose
	ReasonPingTimeout       = engineio.PingTimeout
	ReasonParseError        = engineio.ParseError
	ReasonShuttingDown      = engineio.ShuttingDown
	ReasonClientDisconnect  = "client namespace disconnect" // the client left the namespace
	ReasonServerDisconnect  = "server namespace disconnect" // Disconnect was called
	ReasonForcedServerClose = "forced server close"         // the client broke the protocol, or joined no namespace
)

// Socket is one client in one namespace. Its methods may be called concurrently.
type Socket struct {
	id        string
	namespace string
	nsp       *Namespace // set on the socket's goroutine before anybody else can see the socket
	client    *client
	auth      json.RawMessage
	issued    int64 // ms

	asked int32 // how many questions wait for the socket; under nsp.acks.mu

	mu      sync.Mutex
	state   state
	running bool   // somebody dispatches, or is about to
	handled *event // whose handlers run
	waiting *event // the last one that waits; the others follow it as a ring, the first one first
	extra   *extra // what only some sockets need

	in memberships // under nsp.rooms.mu
}

type state byte

const (
	stateConnecting state = iota
	stateConnected
	stateEnded
)

// extra holds the fields that only some sockets need, all of them under Socket.mu.
type extra struct {
	ctx       context.Context
	cancel    context.CancelFunc
	handshake *Handshake
	data      data
	locals    map[any]any // by *Local
	events    map[string][]*handler
	ending    *ending
	recovered bool
	pid       string
	back      []string          // the rooms of a client that came back
	claimed   *cluster.Snapshot // unproven, until the middlewares have run
	lease     cluster.Lease
}

// ending is the rest of the work for a socket that has ended.
type ending struct {
	reason string
	rooms  []string // where it was, until OnDisconnecting has been called
	back   bool     // the client may come back
}

func newSocket(c *client, namespace string, auth json.RawMessage) *Socket {
	return &Socket{
		id: newID(), namespace: namespace, client: c, auth: auth, issued: time.Now().UnixMilli(),
		running: true, // its goroutine begins with connect
		in:      memberships{at: -1},
	}
}

// newID returns a socket id: 120 random bits in 20 characters, a length that Node's sharded adapter
// depends on.
func newID() string {
	var b [15]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ID returns the socket's id, which is unique in the cluster. A client gets another one each time
// it connects, unless it is recovered. The id is also the name of a room that the socket is in.
func (s *Socket) ID() string { return s.id }

// SID returns the id of the Engine.IO session that carries the socket, and perhaps others.
func (s *Socket) SID() string { return s.client.session.ID() }

// Namespace returns the socket's namespace.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Session returns the Engine.IO session that carries the socket, and perhaps others. Clients take
// messages that are sent on it directly for Socket.IO packets.
func (s *Socket) Session() *engineio.Session { return s.client.session }

// Transport returns the session's present transport, "polling" or "websocket".
func (s *Socket) Transport() string { return s.client.session.Transport() }

// Request returns the request that began the session, without its body. The caller must not change
// it.
func (s *Socket) Request() *http.Request { return s.client.session.Request() }

// Handshake describes how the socket connected. The caller must not change it.
func (s *Socket) Handshake() *Handshake {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extraLocked()
	if x.handshake == nil {
		x.handshake = newHandshake(s.client.session.Request(), s.client.session.RemoteAddr(), s.issued, s.auth)
	}
	return x.handshake
}

// Context returns a context that ends when the socket disconnects. It has the values of the
// request's context, and of the context of Server.Run.
func (s *Socket) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extraLocked()
	if x.ctx == nil {
		x.ctx, x.cancel = context.WithCancel(s.client.server.life.under(s.client.session.Request().Context()))
		if s.state == stateEnded {
			x.cancel()
		}
	}
	return x.ctx
}

// Issued returns when the client asked for the socket, as Handshake does, without making one.
func (s *Socket) Issued() time.Time { return time.UnixMilli(s.issued) }

// Connected reports whether the socket is connected. In a middleware it isn't yet.
func (s *Socket) Connected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateConnected
}

// Recovered reports whether the client came back and the socket has its rooms, data and missed
// events: see Config.Recovery.
func (s *Socket) Recovered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.extra != nil && s.extra.recovered
}

func (s *Socket) extraLocked() *extra {
	if s.extra == nil {
		s.extra = new(extra)
	}
	return s.extra
}

// Join adds the socket to rooms. It does nothing once the socket has left. Beyond Config.MaxRooms
// it closes the connection.
func (s *Socket) Join(rooms ...string) {
	events, full := s.nsp.rooms.join(s, rooms)
	s.nsp.tellRooms(events)
	s.changed()
	if full {
		s.tooManyRooms()
	}
}

// tooManyRooms closes the connection of a socket that joined one room too many.
func (s *Socket) tooManyRooms() {
	most := s.client.server.cfg.MaxRooms
	s.client.exceeded(&limitError{violationRooms, limitRooms, most, most + 1})
}

// Leave removes the socket from rooms.
func (s *Socket) Leave(rooms ...string) {
	s.nsp.tellRooms(s.nsp.rooms.leave(s, rooms))
	s.changed()
}

// Rooms lists the socket's rooms: the one of its own id, then the others in the order of joining.
// In OnDisconnecting it lists those that the socket was in.
func (s *Socket) Rooms() []string {
	s.mu.Lock()
	if s.extra != nil && s.extra.ending != nil {
		defer s.mu.Unlock()
		return slices.Clone(s.extra.ending.rooms)
	}
	s.mu.Unlock()
	return s.nsp.rooms.of(s)
}

// On adds a handler for an event of this socket alone, by the rules of Namespace.On. It runs after
// the namespace's handlers.
func (s *Socket) On(event string, fn any) {
	if packet.Reserved(event) {
		panic("socketio: On(\"" + event + "\"): " + ErrReserved.Error() + "; see Namespace.OnDisconnect and Socket.Context")
	}
	h := newHandler("On", event, fn, true)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extraLocked()
	x.events = withHandler(x.events, event, h)
}

// Off removes the handlers that On added for an event of this socket.
func (s *Socket) Off(event string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extra != nil {
		s.extra.events = maps.Clone(s.extra.events)
		delete(s.extra.events, event)
	}
}

// Disconnect takes the socket out of its namespace. The client doesn't reconnect by itself. With
// closeTransport it disconnects all sockets of the connection and closes that, too.
func (s *Socket) Disconnect(closeTransport bool) {
	s.nsp.after(func() { s.leave(closeTransport) }) // behind what was emitted
}

func (s *Socket) leave(closeTransport bool) {
	if !closeTransport {
		s.disconnect()
		return
	}
	for _, other := range s.client.all() {
		other.disconnect()
	}
	s.client.flush() // a poll is to bring the packets before the next brings the close: the client would only see that
	s.client.session.Close()
}

// disconnect ends the socket before it tells the client: the client may close the connection at
// once, and that must not be taken for the reason.
func (s *Socket) disconnect() {
	if !s.Connected() || !s.end(ReasonServerDisconnect, true) {
		return
	}
	s.client.sendPacket(packet.Header{Type: packet.Disconnect, Namespace: s.namespace, ID: packet.NoID}, packet.Payload{})
}

// joined returns the socket's namespace once it is connected, else nil.
func (s *Socket) joined() *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateConnecting {
		return nil
	}
	return s.nsp
}

// end ends the socket in any state. The app hears of it after the waiting events or, with drop, in
// place of them. Only the first call has an effect and returns true.
func (s *Socket) end(reason string, drop bool) bool {
	s.mu.Lock()
	if s.state == stateEnded {
		s.mu.Unlock()
		return false
	}
	was := s.state
	s.state = stateEnded
	if drop || was == stateConnecting {
		for s.waiting != nil {
			s.client.settle(s.takeLocked().size)
		}
	}
	if s.extra != nil && s.extra.cancel != nil {
		s.extra.cancel()
	}
	s.mu.Unlock()
	s.client.remove(s)
	if was == stateConnecting {
		return true // connect notices
	}
	s.nsp.server.metrics.sockets.Dec()
	s.recordEnd(reason)
	rooms, events := s.nsp.rooms.leaveAll(s)
	back := s.nsp.recovery != nil && comesBack(reason)
	s.endLease(back, rooms)
	s.nsp.tellRooms(events)
	s.finish(&ending{reason, rooms, back})
	return true
}
