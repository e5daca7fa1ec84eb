package socketio

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/internal/flight"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Namespace is a channel of its own over the clients' connections, with its own sockets, rooms,
// middlewares and handlers. Its methods may be called concurrently. A handler or middleware counts
// for the events and sockets that come after its registration.
type Namespace struct {
	// Operator selects all sockets of the namespace.
	Operator

	server  *Server
	name    string
	adapter cluster.Adapter // nil: the server is alone

	editMu   sync.Mutex // held while registry is replaced
	registry atomic.Pointer[registry]

	rooms    rooms
	acks     acks
	recovery cluster.Recoverer // nil: off

	// under Server.mu
	parent   *Namespace            // who made it by a pattern
	pattern  *pattern              // a parent's
	children map[string]*Namespace // a parent's
	users    int                   // sockets connecting and connected
}

func newNamespace(srv *Server, name string, r *registry) *Namespace {
	n := &Namespace{
		server: srv, name: name, rooms: newRooms(srv.cfg.MaxRooms), acks: acks{wheel: srv.wheel, most: srv.cfg.MaxPendingAcks},
	}
	n.Operator.nsp = n
	n.registry.Store(r)
	return n
}

// Name returns the namespace's name with its leading slash.
func (n *Namespace) Name() string { return n.name }

// Server returns the namespace's server.
func (n *Namespace) Server() *Server { return n.server }

// Socket returns the socket with that id if it is connected to this server.
func (n *Namespace) Socket(id string) (*Socket, bool) {
	for _, n := range n.each() {
		if s := n.rooms.byOwnID(id); s != nil {
			return s, true
		}
	}
	return nil, false
}

// connect takes a socket into its namespace, on the socket's goroutine.
func (s *Socket) connect() {
	alive := false
	defer func() {
		if !alive {
			s.client.socketDone(s)
		}
	}()
	server, c := s.client.server, s.client
	n, err := s.find()
	if n == nil {
		s.abandon()
		if unlogged(err) != nil {
			server.notices.refusals.Warn(server.cfg.Log, "namespace refused", "namespace", s.namespace, "error", err)
		}
		e := &Error{Message: "Invalid namespace"}
		if err != nil {
			e, _ = shown(err)
		}
		s.recordRefusal(flight.Server, e.Message)
		c.refuse(s.namespace, e)
		return
	}
	s.mu.Lock()
	s.nsp = n
	s.mu.Unlock()
	if n.recovery != nil {
		s.resume()
	}
	r := n.registry.Load()
	if err = s.admit(r); err == nil && !s.comeBack(r) {
		err = s.admit(r)
	}
	if err != nil {
		s.refused(err)
		return
	}
	if !s.Recovered() {
		s.enterRooms([]string{s.id})
	}
	if !s.welcome() {
		was, events := n.rooms.leaveAll(s)
		n.tellRooms(events)
		s.endLease(s.Recovered(), was)
		n.release()
		return
	}
	alive = true // until ended
	for _, f := range r.connect {
		s.contain("connection", func() error { f(s); return nil })
	}
}

// admit runs the middlewares, unless the client is recovered.
func (s *Socket) admit(r *registry) error {
	if s.Recovered() && !s.nsp.server.cfg.Recovery.RunMiddlewares {
		return nil
	}
	for _, f := range r.use {
		if err := s.contain("middleware", func() error { return f(s.Context(), s) }); err != nil {
			return err
		}
	}
	return nil
}

// enterRooms adds a connecting socket to its rooms.
func (s *Socket) enterRooms(rooms []string) {
	events, full := s.nsp.rooms.join(s, rooms)
	s.nsp.tellRooms(events)
	if full {
		s.tooManyRooms()
	}
}

// welcome tells the client that it is connected and makes the socket visible to broadcasts, in this
// order on the wire. The cork keeps the client from missing one in between. A recovered client gets
// the missed events first. welcome reports whether the client is still there.
func (s *Socket) welcome() (alive bool) {
	s.client.session.Cork()
	defer s.client.session.Uncork()
	if t := s.lease(); t != nil {
		t.Enter(s.Context(), func(missed []packet.Payload) bool {
			alive = s.enter(missed)
			return alive
		})
		return alive
	}
	return s.enter(nil)
}

func (s *Socket) enter(missed []packet.Payload) (alive bool) {
	c := s.client
	for _, p := range missed {
		c.sendPacket(packet.Header{Type: packet.Event, Namespace: s.namespace, ID: packet.NoID}, p)
	}
	c.sendPacket(packet.Header{Type: packet.Connect, Namespace: s.namespace, ID: packet.NoID}, connectPayload(s))
	s.mu.Lock()
	alive = s.state == stateConnecting
	if alive {
		s.state = stateConnected
		c.server.metrics.sockets.Inc()
	}
	s.mu.Unlock()
	if alive {
		c.joined()
		s.nsp.rooms.enter(s)
	}
	return alive
}

// find returns the socket's namespace, which a pattern may have to make.
func (s *Socket) find() (n *Namespace, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = s.panicked("namespace", v)
		}
	}()
	return s.client.server.acquire(s)
}

// refused tells the client that a middleware refused it.
func (s *Socket) refused(err error) {
	server := s.client.server
	e, internal := shown(err)
	if internal && unlogged(err) != nil {
		server.metrics.failures.Inc()
		server.notices.refusals.Warn(server.cfg.Log, "middleware failed", "namespace", s.namespace, "socket", s.id, "error", err)
	}
	s.recordRefusal(flight.App, err.Error())
	s.abandon()
	was, events := s.nsp.rooms.leaveAll(s)
	s.giveBack(was)
	s.nsp.tellRooms(events)
	if err := s.client.refuse(s.namespace, e); err != nil && err != ErrDisconnected {
		server.notices.refusals.Warn(server.cfg.Log, "middleware failed", "namespace", s.namespace, "error", fmt.Errorf("data of a refusal: %w", err))
		s.client.refuse(s.namespace, &Error{Message: e.Message})
	}
	s.nsp.release()
}

// abandon ends a socket that never connected, and drops its events.
func (s *Socket) abandon() {
	s.end("", true)
}

// tellRooms calls the OnRoom functions.
func (n *Namespace) tellRooms(events []RoomEvent) {
	if len(events) == 0 {
		return
	}
	for _, l := range n.registry.Load().rooms {
		for _, e := range events {
			l.call(e)
		}
	}
}

// raise runs the handlers of an event that another server raised.
func (n *Namespace) raise(p packet.Payload, reply func(packet.Payload)) {
	name, args, err := p.Event()
	if err != nil {
		n.server.cfg.Log.Warn("malformed event of another server", "namespace", n.name, "error", err)
		return
	}
	handlers := n.registry.Load().server[name]
	var c call
	c.begin(nil, n.server.life, args)
	if reply != nil {
		c.answer = &answer{to: reply}
	}
	for _, h := range handlers {
		if err := n.handle(h, &c, name); err != nil {
			if _, internal := shown(err); internal && unlogged(err) != nil {
				n.server.cfg.Log.Warn("handler of a server's event failed", "namespace", n.name, "event", name, "error", err)
			}
			c.Reply(failure(err))
		}
	}
}

// handle calls a handler of a server's event and turns a panic into an error.
func (n *Namespace) handle(h *handler, c *call, name string) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = n.server.panicked(v, "namespace", n.name, "event", name)
		}
	}()
	return h.call(&c.Call)
}
