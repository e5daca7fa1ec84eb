package client

import (
	"context"
	"fmt"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Socket is one namespace of a connection.
type Socket struct {
	client   *Client
	name     string
	handlers handlers

	// under client.mu
	active    bool // connected, or to be connected by the connection's goroutine
	connected bool
	asked     bool // CONNECT was sent and is not answered
	recovered bool
	id        string
	session   session  // for recovery
	outcome   *outcome // of the attempts under way, while somebody waits
	failure   error    // of the last attempt
	end       context.CancelCauseFunc
	life      context.Context // of handlers that ask for one; made on demand, ends at disconnection

	acks       acks
	out        outbox
	deliveries deliveries
	in         inbox
}

func newSocket(c *Client, namespace string) *Socket {
	s := &Socket{client: c, name: namespace}
	s.deliveries.socket = s
	s.in.client, s.in.perform = c, s.perform
	return s
}

// outcome is the result that Connect waits for.
type outcome struct {
	done chan struct{}
	err  error // before done is closed
}

// Namespace returns the name of the socket's namespace.
func (s *Socket) Namespace() string { return s.name }

// Client returns the connection that the socket belongs to.
func (s *Socket) Client() *Client { return s.client }

// ID returns the socket id that the server gave, or "" while the socket isn't connected.
func (s *Socket) ID() string {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.id
}

// Connected reports whether the socket is connected.
func (s *Socket) Connected() bool {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.connected
}

// Recovered reports whether the server restored the socket at the last connection: same id, same
// rooms, nothing missed.
func (s *Socket) Recovered() bool {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.recovered
}

// Connect connects the socket and returns nil once it is connected. It repeats failed attempts as
// Config says. It returns a *ConnectError if the server refuses the socket, ErrGaveUp after the
// last attempt, ErrClosed, or ErrDisconnected. If ctx ends, it disconnects the socket and returns
// the error of ctx and that of the last attempt.
//
// A connected socket reconnects by itself until one of these errors occurs.
func (s *Socket) Connect(ctx context.Context) error {
	c := s.client
	c.mu.Lock()
	switch {
	case c.closed:
		c.mu.Unlock()
		return ErrClosed
	case s.connected:
		c.mu.Unlock()
		return nil
	}
	if s.outcome == nil {
		s.outcome = &outcome{done: make(chan struct{})}
	}
	o := s.outcome
	if !s.active {
		s.active, s.failure = true, nil
		if c.conn != nil {
			s.greetLocked()
		}
		c.startLocked()
	}
	c.mu.Unlock()
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-o.done: // at the same moment
		return o.err
	default:
	}
	err := fmt.Errorf("client: connect %s: %w", s.name, context.Cause(ctx))
	if s.failure != nil {
		err = fmt.Errorf("%w (last attempt: %w)", err, s.failure)
	}
	s.disconnectLocked(err)
	return err
}

// Disconnect disconnects the socket. The connection stays open while other sockets use it. Connect
// may be called again.
func (s *Socket) Disconnect() {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	s.disconnectLocked(ErrDisconnected)
}

// disconnectLocked leaves the namespace. Callers that wait in Connect get err.
func (s *Socket) disconnectLocked(err error) {
	if !s.active {
		return
	}
	if s.connected {
		s.sendLocked(packet.Header{Type: packet.Disconnect, Namespace: s.name, ID: packet.NoID}, nil, nil)
	}
	s.active = false
	s.endLocked(ReasonClientDisconnect, nil)
	s.settleLocked(err)
	s.client.retireLocked()
}

// connectedLocked notes the server's answer to CONNECT: first OnConnect's functions run, then the
// handlers of what came before it (which recovery sends), and what waited to be sent leaves.
func (s *Socket) connectedLocked(id, pid string) {
	s.id, s.connected = id, true
	s.recovered = s.session.begun(pid)
	s.tellLocked(func(r *registry) {
		for _, f := range r.connect {
			f()
		}
	})
	for _, t := range s.in.takeEarly() {
		s.session.saw(t)
		s.in.put(t)
	}
	s.flushLocked()
	s.settleLocked(nil)
}

// refusedLocked handles a refusal by the server or AuthFunc.
func (s *Socket) refusedLocked(err error) {
	s.active = false
	s.in.takeEarly()
	s.tellLocked(func(r *registry) {
		for _, f := range r.refused {
			f(err)
		}
	})
	s.settleLocked(err)
	s.client.retireLocked()
}

// lostLocked handles the loss of the connection. An active socket will reconnect.
func (s *Socket) lostLocked(reason string, err error) {
	s.asked = false
	s.in.takeEarly()
	if s.connected {
		s.failure = err
		s.endLocked(reason, err)
	}
}

// giveUpLocked ends a socket for which no more attempts are made.
func (s *Socket) giveUpLocked(err error) {
	if s.active {
		s.active = false
		s.settleLocked(err)
	}
}

// endLocked marks the socket as disconnected.
func (s *Socket) endLocked(reason string, err error) {
	if s.connected {
		s.tellLocked(func(r *registry) {
			for _, f := range r.disconnect {
				f(reason, err)
			}
		})
	}
	s.connected, s.id = false, ""
	s.in.takeEarly()
	if s.end != nil {
		s.end(ErrDisconnected)
		s.end, s.life = nil, nil
	}
	s.failAcksLocked(ErrDisconnected)
}

// tellLocked calls some of the registered functions, in order with events.
func (s *Socket) tellLocked(f func(*registry)) {
	if r := s.handlers.now(); r != &noHandlers {
		s.in.put(task{do: func() { f(r) }})
	}
}

func (s *Socket) settleLocked(err error) {
	if s.outcome != nil {
		s.outcome.err = err
		close(s.outcome.done)
		s.outcome = nil
	}
}

// context returns the handlers' context, which ends when the socket disconnects.
func (s *Socket) context() context.Context {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if s.life == nil {
		s.life, s.end = context.WithCancelCause(context.Background())
		if !s.connected {
			s.end(ErrDisconnected)
		}
	}
	return s.life
}

// sendLocked sends a packet of this socket on the connection there is.
func (s *Socket) sendLocked(h packet.Header, body []byte, attachments [][]byte) error {
	if parser := s.client.set.Parser; parser != nil {
		return sendOwn(s.client.conn, parser, packet.Packet{Header: plain(h), Payload: packet.Payload{JSON: body, Attachments: attachments}})
	}
	scratch := texts.Get().(*[]byte)
	defer keep(&texts, scratch)
	*scratch = packet.Append((*scratch)[:0], h, body)
	return sendText(s.client.conn, *scratch, attachments)
}
