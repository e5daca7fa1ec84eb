package socketio

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// registry holds the functions that an app has registered on a namespace. A change replaces it, so
// that events find their handlers without a lock, and a namespace made by a pattern shares its
// parent's.
type registry struct {
	use           []func(ctx context.Context, s *Socket) error
	useEvent      []func(ctx context.Context, s *Socket, event string, args Args) error
	recover       []func(ctx context.Context, s *Socket) error
	connect       []func(s *Socket)
	disconnecting []func(s *Socket, reason string)
	disconnect    []func(s *Socket, reason string)
	gone          []func(s RemoteSocket)
	upgrade       []func(s *Socket)
	any           []*listener[func(s *Socket, event string, args Args)]
	anyOutgoing   []*listener[func(s *Socket, event string, args Args)]
	errors        []func(s *Socket, event string, err error)
	rooms         []*listener[func(e RoomEvent)]
	keys          map[string]AnyKey // by name
	events        map[string][]*handler
	server        map[string][]*handler
}

// edit replaces the registry with a changed copy.
func (n *Namespace) edit(change func(r *registry)) {
	n.editMu.Lock()
	defer n.editMu.Unlock()
	r := *n.registry.Load()
	change(&r)
	n.registry.Store(&r)
}

// listener is a function that can be removed again.
type listener[F any] struct{ call F }

// listen adds a listener to a list of the registry, and returns the function that removes it.
func listen[F any](n *Namespace, list func(r *registry) *[]*listener[F], f F) (stop func()) {
	l := &listener[F]{f}
	n.edit(func(r *registry) { *list(r) = with(*list(r), l) })
	return func() {
		n.edit(func(r *registry) {
			*list(r) = slices.DeleteFunc(slices.Clone(*list(r)), func(other *listener[F]) bool { return other == l })
		})
	}
}

// with returns a copy of list with f at its end.
func with[T any](list []T, f T) []T { return append(slices.Clip(list), f) }

// withHandler returns a copy of m in which h is the last handler of event.
func withHandler(m map[string][]*handler, event string, h *handler) map[string][]*handler {
	m = maps.Clone(m)
	if m == nil {
		m = make(map[string][]*handler)
	}
	m[event] = with(m[event], h)
	return m
}

// Use adds a middleware. The middlewares run in the order of registration for each socket that
// connects, before the client knows that it is connected. An error refuses the connection; the
// client sees an *Error with its data. A middleware may block, make the socket join rooms, and emit
// to it. Its context ends when the client leaves.
func (n *Namespace) Use(f func(ctx context.Context, s *Socket) error) {
	n.edit(func(r *registry) { r.use = with(r.use, f) })
}

// UseEvents adds a middleware for incoming events. It runs after OnAny and before the handlers. An
// error drops the event. It goes to OnError and answers the event as the error of a handler does.
func (n *Namespace) UseEvents(f func(ctx context.Context, s *Socket, event string, args Args) error) {
	n.edit(func(r *registry) { r.useEvent = with(r.useEvent, f) })
}

// OnRecover calls f for a client that comes back and is about to be recovered, after the
// middlewares that run for it and before OnConnect. The socket has its id, rooms and shared data,
// but no Local values: f may make them again. If f returns an error, or panics, the client isn't
// recovered. Its socket starts anew, with another id and without rooms and data, and the
// middlewares run as for any new client. The server logs the error. The context ends when the
// client leaves.
func (n *Namespace) OnRecover(f func(ctx context.Context, s *Socket) error) {
	n.edit(func(r *registry) { r.recover = with(r.recover, f) })
}

// OnConnect calls f when a socket has connected, before its first event.
func (n *Namespace) OnConnect(f func(s *Socket)) {
	n.edit(func(r *registry) { r.connect = with(r.connect, f) })
}

// OnDisconnecting calls f after a socket's last event, while Rooms still returns the rooms it was
// in.
func (n *Namespace) OnDisconnecting(f func(s *Socket, reason string)) {
	n.edit(func(r *registry) { r.disconnecting = with(r.disconnecting, f) })
}

// OnDisconnect calls f when a socket has disconnected. The reason is one of the Reason constants.
// With Config.Recovery the client may be back soon: see OnGone.
func (n *Namespace) OnDisconnect(f func(s *Socket, reason string)) {
	n.edit(func(r *registry) { r.disconnect = with(r.disconnect, f) })
}

// OnGone calls f when a client has left for good. Without Config.Recovery that is when its socket
// has disconnected; so it is after Socket.Disconnect, and if the client left by itself. A client
// that lost its connection may come back: f is called when Recovery.MaxDisconnection has passed and
// no server has recovered the client, or when a server refused to. So OnConnect without
// Socket.Recovered, and OnGone, follow who is there, without the short breaks that OnDisconnect
// shows.
//
// One server calls f, usually the one that the client left. It gets the socket's id, rooms and
// shared data as they were. Nobody calls f if that server ended in the meantime, or was killed, and
// the client never came back. So OnGone is for announcements. FetchSockets says who is there, even
// then. An app that keeps a list of its own, in a database say, compares it with FetchSockets when
// the app starts and now and then.
func (n *Namespace) OnGone(f func(s RemoteSocket)) {
	n.edit(func(r *registry) { r.gone = with(r.gone, f) })
}

// On adds a handler for an event of all sockets of the namespace. Several handlers of one event run
// in the order of registration. A handler is a function
//
//	func([context.Context,] [*Socket,] arguments... [, Ack]) ([answer..., ] [error])
//
// On panics if fn isn't. The event's arguments are decoded into the parameters, as Args.Decode
// does. A missing argument is the zero value. Further arguments are ignored, unless the last
// parameter is variadic or Args.
//
// The results answer the event if the client asked for an answer. A handler with an Ack answers by
// that instead. An [*Error] answers with {"error": message} and its data. Any other error answers
// with {"error": "internal error"}. OnError gets both. The context ends when the socket
// disconnects.
//
// The handlers of one socket run one after the other, in the order of its events. They may block,
// and wait for the same client. Those of different sockets don't wait for each other.
//
// On panics for "connection", since Node's users would wait for it in vain: use OnConnect. For a
// client's event of that name use [Socket.On].
func (n *Namespace) On(event string, fn any) {
	if packet.Reserved(event) || event == "connection" {
		panic("socketio: On(\"" + event + "\"): " + ErrReserved.Error() + "; see OnConnect and OnDisconnect")
	}
	h := newHandler("On", event, fn, true)
	n.edit(func(r *registry) { r.events = withHandler(r.events, event, h) })
}

// Off removes all handlers of an event.
func (n *Namespace) Off(event string) {
	n.edit(func(r *registry) {
		r.events = maps.Clone(r.events)
		delete(r.events, event)
	})
}

// OnUpgrade calls f when the session of a connected socket has moved from polling to WebSocket. The
// session receives nothing meanwhile, so f must not block.
func (n *Namespace) OnUpgrade(f func(s *Socket)) {
	n.edit(func(r *registry) { r.upgrade = with(r.upgrade, f) })
}

// OnAny calls f for every incoming event, before the middlewares and handlers, until stop is
// called. Namespaces that a pattern has made meanwhile keep f.
func (n *Namespace) OnAny(f func(s *Socket, event string, args Args)) (stop func()) {
	return listen(n, func(r *registry) *[]*listener[func(*Socket, string, Args)] { return &r.any }, f)
}

// OnAnyOutgoing calls f for every event that is sent to a socket, once for each socket that a
// broadcast reaches, until stop is called. It runs on the goroutine that emits.
func (n *Namespace) OnAnyOutgoing(f func(s *Socket, event string, args Args)) (stop func()) {
	return listen(n, func(r *registry) *[]*listener[func(*Socket, string, Args)] { return &r.anyOutgoing }, f)
}

// OnError calls f with the event and the error of each handler or middleware of events that fails.
// It also calls f with a *PacketError and without an event, before the server closes the connection
// of a client that sent a malformed packet. The client chooses the names of events that UseEvents
// refuses. A client's event with the name "error" is an event like any other.
func (n *Namespace) OnError(f func(s *Socket, event string, err error)) {
	n.edit(func(r *registry) { r.errors = with(r.errors, f) })
}

// OnRoom calls f after a room of this server has changed, until stop is called. It runs on the
// goroutine that made the change, possibly the one that reads for all clients, and must not block.
// Simultaneous changes may come in any order.
func (n *Namespace) OnRoom(f func(e RoomEvent)) (stop func()) {
	n.rooms.watch(1)
	remove := listen(n, func(r *registry) *[]*listener[func(RoomEvent)] { return &r.rooms }, f)
	return sync.OnceFunc(func() {
		remove()
		n.rooms.watch(-1)
	})
}

// OnServer adds a handler for an event that another server raised with ServerSideEmit. It has the
// form of a handler for On, without a *Socket.
func (n *Namespace) OnServer(event string, fn any) {
	h := newHandler("OnServer", event, fn, false)
	n.edit(func(r *registry) { r.server = withHandler(r.server, event, h) })
}
