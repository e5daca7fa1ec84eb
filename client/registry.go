package client

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// registry is what a socket calls. It is replaced, never changed, so that it is read without a
// lock.
type registry struct {
	events     map[string][]handler
	any        []func(event string, args packet.Args)
	outgoing   []func(event string, args packet.Args)
	connect    []func()
	disconnect []func(reason string, err error)
	refused    []func(err error)
}

// handlers has the present registry of a socket. The zero value has an empty one.
type handlers struct{ p atomic.Pointer[registry] }

var noHandlers registry

func (h *handlers) now() *registry {
	if r := h.p.Load(); r != nil {
		return r
	}
	return &noHandlers
}

// change replaces the registry by a changed copy.
func (h *handlers) change(f func(r *registry)) {
	for {
		old := h.p.Load()
		r := new(registry)
		if old != nil {
			*r = *old
		}
		f(r)
		if h.p.CompareAndSwap(old, r) {
			return
		}
	}
}

// with returns list and one more in memory of its own.
func with[T any](list []T, v T) []T { return append(slices.Clip(list), v) }

// On adds a handler for an event; the package documentation has the forms. Several handlers run in
// the order of registration, and the first answer counts. On panics if f isn't a handler or the
// name is reserved: for "connect" and the like see OnConnect, OnDisconnect and OnConnectError.
func (s *Socket) On(event string, f any) {
	if packet.Reserved(event) {
		panic("client: On(\"" + event + "\"): the name is reserved; see OnConnect, OnDisconnect, OnConnectError")
	}
	h := newHandler(event, f)
	s.handlers.change(func(r *registry) {
		events := maps.Clone(r.events)
		if events == nil {
			events = make(map[string][]handler, 1)
		}
		events[event] = with(events[event], h)
		r.events = events
	})
}

// Off removes all handlers of an event. It doesn't stop a running one.
func (s *Socket) Off(event string) {
	s.handlers.change(func(r *registry) {
		r.events = maps.Clone(r.events)
		delete(r.events, event)
	})
}

// OnAny calls f for every event of the server, before its handlers.
func (s *Socket) OnAny(f func(event string, args Args)) {
	s.handlers.change(func(r *registry) { r.any = with(r.any, f) })
}

// OnAnyOutgoing calls f for every event that is emitted, before it is sent or kept. f runs on the
// goroutine that emits.
func (s *Socket) OnAnyOutgoing(f func(event string, args Args)) {
	s.handlers.change(func(r *registry) { r.outgoing = with(r.outgoing, f) })
}

// OnConnect calls f each time the socket has connected. [connect]
func (s *Socket) OnConnect(f func()) {
	s.handlers.change(func(r *registry) { r.connect = with(r.connect, f) })
}

// OnDisconnect calls f each time the socket has disconnected. The reason is one of the Reason
// constants. err may be nil; if it isn't, it says more. [disconnect]
func (s *Socket) OnDisconnect(f func(reason string, err error)) {
	s.handlers.change(func(r *registry) { r.disconnect = with(r.disconnect, f) })
}

// OnConnectError calls f for each failed attempt: with a *ConnectError if the server refused the
// socket, which the client doesn't repeat, or with the error of the connection, which it repeats as
// Config says. [connect_error]
func (s *Socket) OnConnectError(f func(err error)) {
	s.handlers.change(func(r *registry) { r.refused = with(r.refused, f) })
}

// tellOutgoing shows an encoded event to OnAnyOutgoing.
func (r *registry) tellOutgoing(event string, body []byte, attachments [][]byte) {
	if len(r.outgoing) == 0 {
		return
	}
	p := packet.Payload{JSON: slices.Clone(body), Attachments: attachments}
	if _, args, err := p.Event(); err == nil {
		for _, f := range r.outgoing {
			f(event, args)
		}
	}
}
