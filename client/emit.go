package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/sidereal-io/sidereal/client/internal/engine"
	eio "github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// texts and bodies are scratch: a packet's text and an event's JSON, until they are copied into the
// connection's queue.
var (
	texts  = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}
	bodies = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}
)

// maxScratch is the largest scratch that is kept, in bytes.
const maxScratch = 64 << 10

func keep(pool *sync.Pool, b *[]byte) {
	if cap(*b) <= maxScratch {
		pool.Put(b)
	}
}

// Emit sends an event. It never blocks. While the socket isn't connected it keeps the event and
// sends it later. It has encoded the arguments and copied []byte values when it returns. It returns
// ErrReserved, ErrQueueFull, ErrClosed, or the error of an argument that can't be encoded.
func (s *Socket) Emit(event string, args ...any) error {
	return Emitter{socket: s}.Emit(event, args...)
}

// EmitContext is Emit unless ctx has ended; then it returns the error of ctx.
func (s *Socket) EmitContext(ctx context.Context, event string, args ...any) error {
	return Emitter{socket: s}.EmitContext(ctx, event, args...)
}

// EmitWithAck sends an event and waits for its acknowledgement. It returns the error of ctx if that
// ends first, ErrAckTimeout after Config.AckTimeout if ctx has no deadline, ErrDisconnected, or
// ErrClosed. If the answer reports a failure, as {"error": "no such room"} does, it returns the
// answer and an *AnswerError. Call decodes the answer, too.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	if _, ok := ctx.Deadline(); !ok && s.client.set.AckTimeout > 0 && s.client.set.Retries == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.client.set.AckTimeout, ErrAckTimeout)
		defer cancel()
	}
	w := &waiter{answer: make(chan answer, 1)}
	var err error
	if s.client.set.Retries > 0 {
		err = s.deliver(w, event, args)
	} else {
		err = s.emit(w, false, event, args)
	}
	if err != nil {
		return Args{}, err
	}
	select {
	case a := <-w.answer:
		return a.args, failureOf(a.args, a.err)
	case <-ctx.Done():
		s.forget(w)
		return Args{}, fmt.Errorf("client: acknowledgement of %q: %w", event, context.Cause(ctx))
	}
}

// Call emits an event and returns the first value of the answer. Its errors are those of
// Socket.EmitWithAck, and those of an answer that is empty or doesn't fit T. Call is for events
// whose answer is a value; use EmitWithAck where an empty answer means success.
//
//	receipt, err := client.Call[Receipt](ctx, s, "order", order)
func Call[T any](ctx context.Context, s *Socket, event string, args ...any) (T, error) {
	var v, none T
	answer, err := s.EmitWithAck(ctx, event, args...)
	if err != nil {
		return none, err
	}
	if err := answer.Decode(0, &v); err != nil {
		return none, fmt.Errorf("client: answer to %q: %w", event, err)
	}
	return v, nil
}

// Emitter emits to the server, with flags. It is an immutable value.
type Emitter struct {
	socket   *Socket
	volatile bool
	answered func(Args, error)
}

// Volatile returns an Emitter that drops events that can't leave at once: the socket isn't
// connected, or the network hasn't taken earlier ones yet.
func (s *Socket) Volatile() Emitter { return Emitter{socket: s}.Volatile() }

// WithAck returns an Emitter that calls f with the acknowledgement of each event, or with the error
// that EmitWithAck would return. f runs on the goroutine of the handlers, in order with them. So
// many events may wait for their acknowledgements without a goroutine each.
func (s *Socket) WithAck(f func(answer Args, err error)) Emitter {
	return Emitter{socket: s}.WithAck(f)
}

// Volatile is Socket.Volatile for an Emitter.
func (e Emitter) Volatile() Emitter {
	e.volatile = true
	return e
}

// WithAck is Socket.WithAck for an Emitter. A volatile event that is dropped gets no answer.
func (e Emitter) WithAck(f func(answer Args, err error)) Emitter {
	e.answered = f
	return e
}

// Emit is Socket.Emit with the flags.
func (e Emitter) Emit(event string, args ...any) error {
	var w *waiter
	if e.answered != nil {
		w = &waiter{call: e.answered}
	}
	if e.socket.client.set.Retries > 0 && !e.volatile {
		return e.socket.deliver(w, event, args)
	}
	return e.socket.emit(w, e.volatile, event, args)
}

// EmitContext is Emit unless ctx has ended; then it returns the error of ctx.
func (e Emitter) EmitContext(ctx context.Context, event string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.Emit(event, args...)
}

// Cork calls f. Events that are emitted on this connection meanwhile leave together, in as few
// writes as possible.
func (s *Socket) Cork(f func()) {
	if conn := s.client.current(); conn != nil {
		conn.Cork()
		defer conn.Uncork()
	}
	f()
}

// emit encodes an event and sends or keeps it.
func (s *Socket) emit(w *waiter, volatile bool, event string, args []any) error {
	if packet.Reserved(event) {
		return fmt.Errorf("%w: %q", ErrReserved, event)
	}
	scratch := bodies.Get().(*[]byte)
	defer keep(&bodies, scratch)
	body, attachments, err := packet.AppendEvent((*scratch)[:0], nil, event, args...)
	if err != nil {
		return fmt.Errorf("client: emit %q: %w", event, err)
	}
	*scratch = body[:0]
	s.handlers.now().tellOutgoing(event, body, attachments)
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if volatile && (!s.connected || !c.conn.Writable()) {
		return nil
	}
	return s.emitLocked(w, body, attachments)
}

// emitLocked sends an encoded event, or keeps a copy of it for the next connection.
func (s *Socket) emitLocked(w *waiter, body []byte, attachments [][]byte) error {
	c := s.client
	if c.closed {
		return ErrClosed
	}
	h := packet.Header{Type: packet.Event, Attachments: len(attachments), Namespace: s.name, ID: packet.NoID}
	if len(attachments) > 0 {
		h.Type = packet.BinaryEvent
	}
	if w != nil {
		h.ID = s.acks.expect(w)
	}
	err := engine.ErrClosed
	if s.connected {
		err = s.sendLocked(h, body, attachments)
	}
	if errors.Is(err, engine.ErrClosed) { // or will be found lost soon
		err = s.out.keep(newUnsent(h, body, attachments), c.set.MaxQueueBytes)
	}
	if err != nil && w != nil {
		s.acks.take(h.ID)
	}
	return err
}

// flushLocked sends what waited for the connection. Events that don't fit into its queue stay for
// the next time.
func (s *Socket) flushLocked() {
	if len(s.out.events) > 0 {
		conn := s.client.conn
		conn.Cork()
		defer conn.Uncork()
		s.out.flush(func(u *unsent) error { return s.sendLocked(u.head, u.body, u.attachments) })
	}
	s.deliveries.next()
}

// dropLocked drops the unsent events for good.
func (s *Socket) dropLocked(err error) {
	s.out = outbox{}
	s.deliveries.drop(err)
	s.failAcksLocked(err)
}

// sendText sends a packet's text and its attachments contiguously. They are copied.
func sendText(conn *engine.Conn, text []byte, attachments [][]byte) error {
	first := eio.Packet{Type: eio.Message, Data: text}
	if len(attachments) == 0 {
		return send(conn, first)
	}
	ps := append(make([]eio.Packet, 0, 1+len(attachments)), first)
	for _, a := range attachments {
		ps = append(ps, eio.Packet{Type: eio.Message, Binary: true, Data: a})
	}
	return send(conn, ps...)
}

func send(conn *engine.Conn, ps ...eio.Packet) error {
	err := conn.Send(ps...)
	if errors.Is(err, engine.ErrFull) {
		return ErrQueueFull
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, engine.ErrClosed) {
		return nil
	}
	return err
}
