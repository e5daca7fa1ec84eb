package socketio

import (
	"context"
	"maps"
	"slices"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// registry is what an app has registered on a namespace. It is never changed but replaced, so that events find their
// handlers without a lock, and a namespace made by a pattern shares its parent's.
type registry struct {
	use           []func(ctx context.Context, s *Socket) error
	useEvent      []func(ctx context.Context, s *Socket, event string, args Args) error
	connect       []func(s *Socket)
	disconnecting []func(s *Socket, reason string)
	disconnect    []func(s *Socket, reason string)
	any           []func(s *Socket, event string, args Args)
	anyOutgoing   []func(s *Socket, event string, args Args)
	errors        []func(s *Socket, err error)
	rooms         []func(e RoomEvent)
	events        map[string][]*handler
	server        map[string][]*handler
}

// edit replaces the registry by a changed copy.
func (n *Namespace) edit(change func(r *registry)) {
	n.editMu.Lock()
	defer n.editMu.Unlock()
	r := *n.registry.Load()
	change(&r)
	n.registry.Store(&r)
}

// with is a copy of list that ends with f.
func with[T any](list []T, f T) []T { return append(slices.Clip(list), f) }

// withHandler is a copy of m in which h is the last handler of event.
func withHandler(m map[string][]*handler, event string, h *handler) map[string][]*handler {
	m = maps.Clone(m)
	if m == nil {
		m = make(map[string][]*handler)
	}
	m[event] = with(m[event], h)
	return m
}

// Use adds a middleware: it runs for each socket that wants to connect, in the order of registration, before the
// client is told. Its error refuses the connection; an *Error is shown to the client, with its data. The context ends
// when the client leaves. It may block, make the socket join rooms, and emit to it: that arrives before the client
// knows that it is connected.
func (n *Namespace) Use(f func(ctx context.Context, s *Socket) error) {
	n.edit(func(r *registry) { r.use = with(r.use, f) })
}

// UseEvents adds a middleware for incoming events: it runs before the handlers, after OnAny. Its error keeps the
// event from them and goes to OnError; the client hears nothing.
func (n *Namespace) UseEvents(f func(ctx context.Context, s *Socket, event string, args Args) error) {
	n.edit(func(r *registry) { r.useEvent = with(r.useEvent, f) })
}

// OnConnect adds a function that is called when a socket has connected, before its first event.
func (n *Namespace) OnConnect(f func(s *Socket)) {
	n.edit(func(r *registry) { r.connect = with(r.connect, f) })
}

// OnDisconnecting adds a function that is called after a socket's last event, while Rooms still tells where it was.
func (n *Namespace) OnDisconnecting(f func(s *Socket, reason string)) {
	n.edit(func(r *registry) { r.disconnecting = with(r.disconnecting, f) })
}

// OnDisconnect adds a function that is called when a socket has disconnected, for one of the Reason constants.
func (n *Namespace) OnDisconnect(f func(s *Socket, reason string)) {
	n.edit(func(r *registry) { r.disconnect = with(r.disconnect, f) })
}

// On adds a handler for an event of every socket of the namespace; several are called in the order of registration.
// It is a function of the form
//
//	func([context.Context,] [*Socket,] arguments... [, Ack]) ([answer..., ] [error])
//
// and On panics when it is not. Arguments are decoded into the types of the parameters, as Args.Decode does: those
// that were not sent are zero, further ones are ignored unless the last parameter is variadic or Args. The results,
// if any, answer the client when it asked for an answer; a handler without results answers only through an Ack. An
// [*Error] answers with {"error": message} and its data, any other error with {"error": "internal error"}: OnError hears of
// both. The context ends when the socket disconnects.
//
// The handlers of one socket run one after the other, in the order of the events; they may block, and wait for the same
// client. Those of different sockets don't wait for each other.
//
// "connection" is OnConnect here: On panics for it, since Node's users would wait for it in vain. A client's event of that
// name is for [Socket.On].
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

// OnAny adds a function that is called for every incoming event, before everything else.
func (n *Namespace) OnAny(f func(s *Socket, event string, args Args)) {
	n.edit(func(r *registry) { r.any = with(r.any, f) })
}

// OnAnyOutgoing adds a function that is called for every event sent to a socket, broadcasts that reach it included,
// on the goroutine that emits. Without one, sending costs nothing for it.
func (n *Namespace) OnAnyOutgoing(f func(s *Socket, event string, args Args)) {
	n.edit(func(r *registry) { r.anyOutgoing = with(r.anyOutgoing, f) })
}

// OnError adds a function that is called for each error that a handler or an event's middleware returned, and with a
// *PacketError before a connection is closed on which came what is no packet. A client's event that is called "error"
// is an event like any other.
func (n *Namespace) OnError(f func(s *Socket, err error)) {
	n.edit(func(r *registry) { r.errors = with(r.errors, f) })
}

// OnRoom adds a function that is called after a room of this server has changed, on the goroutine that changed it, which
// may be the one that reads for many clients: it must not block. Changes at the same time are told at the same time, in
// any order.
func (n *Namespace) OnRoom(f func(e RoomEvent)) {
	n.rooms.watch()
	n.edit(func(r *registry) { r.rooms = with(r.rooms, f) })
}

// OnServer adds a handler for an event that another server raised with ServerSideEmit: a function like one for On,
// without a *Socket.
func (n *Namespace) OnServer(event string, fn any) {
	h := newHandler("OnServer", event, fn, false)
	n.edit(func(r *registry) { r.server = withHandler(r.server, event, h) })
}
