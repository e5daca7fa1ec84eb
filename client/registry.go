package client

import (
	"maps"
	"slices"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// registry is what a socket calls. It is replaced, never changed, so that it is read without a lock.
type registry struct {
	events     map[string][]handler
	any        []func(event string, args packet.Args)
	outgoing   []func(event string, args packet.Args)
	connect    []func()
	disconnect []func(reason string, err error)
	refused    []func(err error)
}

// register replaces the registry by a changed copy.
func (s *Socket) register(change func(r *registry)) {
	for {
		old := s.handlers.Load()
		r := new(registry)
		if old != nil {
			*r = *old
		}
		change(r)
		if s.handlers.CompareAndSwap(old, r) {
			return
		}
	}
}

// with returns list and one more in memory of its own.
func with[T any](list []T, v T) []T { return append(slices.Clip(list), v) }

// On registers a handler for an event; doc.go has the forms. Several run in the order of registration, the first answer counts. It panics
// when f is no such function, or the name is reserved (OnConnect, OnDisconnect and OnConnectError are for those).
func (s *Socket) On(event string, f any) {
	if packet.Reserved(event) {
		panic("client: On(\"" + event + "\"): the name is reserved; see OnConnect, OnDisconnect, OnConnectError")
	}
	h := newHandler(event, f)
	s.register(func(r *registry) {
		events := maps.Clone(r.events)
		if events == nil {
			events = make(map[string][]handler, 1)
		}
		events[event] = with(events[event], h)
		r.events = events
	})
}

// Off removes all handlers of an event. One that runs, runs on.
func (s *Socket) Off(event string) {
	s.register(func(r *registry) {
		r.events = maps.Clone(r.events)
		delete(r.events, event)
	})
}

// OnAny registers a function for every event of the server, before its handlers.
func (s *Socket) OnAny(f func(event string, args Args)) {
	s.register(func(r *registry) { r.any = with(r.any, f) })
}

// OnAnyOutgoing registers a function for every event that is emitted. It runs in Emit, before the event is sent or kept.
func (s *Socket) OnAnyOutgoing(f func(event string, args Args)) {
	s.register(func(r *registry) { r.outgoing = with(r.outgoing, f) })
}

// OnConnect registers a function for each time the socket is connected, for the first time and again. [connect]
func (s *Socket) OnConnect(f func()) {
	s.register(func(r *registry) { r.connect = with(r.connect, f) })
}

// OnDisconnect registers a function for each time the socket was connected and is not any more. The reason is one of
// the Reason constants; err says more and may be nil. [disconnect]
func (s *Socket) OnDisconnect(f func(reason string, err error)) {
	s.register(func(r *registry) { r.disconnect = with(r.disconnect, f) })
}

// OnConnectError registers a function for each attempt that failed: a *ConnectError when the server refused the socket, which is not
// repeated; anything else when there was no connection, which Config says how to repeat. [connect_error]
func (s *Socket) OnConnectError(f func(err error)) {
	s.register(func(r *registry) { r.refused = with(r.refused, f) })
}

// tellOutgoing shows an encoded event to OnAnyOutgoing.
func (s *Socket) tellOutgoing(event string, body []byte, attachments [][]byte) {
	r := s.handlers.Load()
	if r == nil || len(r.outgoing) == 0 {
		return
	}
	p := packet.Payload{JSON: slices.Clone(body), Attachments: attachments}
	if _, args, err := p.Event(); err == nil {
		for _, f := range r.outgoing {
			f(event, args)
		}
	}
}
