package socketio

import (
	"context"
	"fmt"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Emitter emits to one socket, with flags. It is an immutable value.
type Emitter struct {
	socket   *Socket
	volatile bool
	compress bool
	timeout  time.Duration
}

func (s *Socket) emitter() Emitter { return Emitter{socket: s, compress: true} }

// Emit sends an event to the socket. It doesn't wait. It returns ErrDisconnected, ErrReserved, or
// the error of an argument that can't be encoded. It copies []byte values among the arguments, but
// not Args.
func (s *Socket) Emit(event string, args ...any) error { return s.emitter().Emit(event, args...) }

// EmitContext is Emit with a context, which Trace.Emit gets. If ctx has ended, it sends nothing and
// returns the error of ctx.
func (s *Socket) EmitContext(ctx context.Context, event string, args ...any) error {
	return s.emitter().EmitContext(ctx, event, args...)
}

// EmitWithAck sends an event to the socket and waits for the answer until ctx ends or the socket
// disconnects. A handler may wait for its own socket. It returns ErrTooManyAcks if the socket owes
// Config.MaxPendingAcks answers. If the answer reports a failure, as {"error": "busy"} does, it
// returns the answer and an *AnswerError. Call decodes the answer, too.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	return s.emitter().EmitWithAck(ctx, event, args...)
}

// Volatile returns an Emitter whose events are dropped while the client isn't ready to receive.
func (s *Socket) Volatile() Emitter { return s.emitter().Volatile() }

// Compress returns an Emitter that says whether transports may compress. They may by default.
func (s *Socket) Compress(on bool) Emitter { return s.emitter().Compress(on) }

// Timeout returns an Emitter whose EmitWithAck returns ErrTimeout after d.
func (s *Socket) Timeout(d time.Duration) Emitter { return s.emitter().Timeout(d) }

// Volatile is Socket.Volatile for an Emitter.
func (e Emitter) Volatile() Emitter {
	e.volatile = true
	return e
}

// Compress is Socket.Compress for an Emitter.
func (e Emitter) Compress(on bool) Emitter {
	e.compress = on
	return e
}

// Timeout is Socket.Timeout for an Emitter.
func (e Emitter) Timeout(d time.Duration) Emitter {
	e.timeout = d
	return e
}

// Emit is Socket.Emit with the flags.
func (e Emitter) Emit(event string, args ...any) error {
	return e.traced(e.socket.client.server.life, event, args)
}

// EmitContext is Socket.EmitContext with the flags.
func (e Emitter) EmitContext(ctx context.Context, event string, args ...any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.traced(ctx, event, args)
}

func (e Emitter) traced(ctx context.Context, event string, args []any) error {
	done := e.socket.traceEmit(ctx, event)
	err := e.emit(packet.NoID, event, args)
	done.with(err)
	return err
}

func (e Emitter) emit(id int64, event string, args []any) error {
	s := e.socket
	if packet.Reserved(event) {
		return ErrReserved
	}
	if s.nsp.recovery != nil && id == packet.NoID && !e.volatile && s.Connected() {
		o := s.nsp.To(s.id)
		if !e.compress {
			o = o.Compress(false)
		}
		return o.emit(event, args)
	}
	h := packet.Header{Type: packet.Event, Namespace: s.namespace, ID: id}
	ms, err := s.client.server.encode(h, event, args)
	if err != nil {
		return err
	}
	if hooks := s.nsp.registry.Load().anyOutgoing; len(hooks) > 0 {
		if p, err := packet.EncodeArgs(args...); err == nil {
			if args, err := p.Args(); err == nil {
				s.tellOutgoing(hooks, event, args)
			}
		}
	}
	if !e.compress {
		uncompressed(ms)
	}
	s.mu.Lock()
	ended := s.state == stateEnded
	s.mu.Unlock()
	if ended {
		return ErrDisconnected
	}
	s.client.server.metrics.out.Inc()
	if s.nsp.recovery == nil {
		return e.send(h, ms)
	}
	s.nsp.after(func() { _ = e.send(h, ms) })
	return nil
}

func (e Emitter) send(h packet.Header, ms []*engineio.Message) error {
	c := e.socket.client
	if !e.volatile {
		return c.send(h, ms)
	}
	if c.session.SendVolatile(ms...) {
		c.server.cfg.Trace.sent(c.session, h, ms)
	}
	return nil
}

// EmitWithAck is Socket.EmitWithAck with the flags.
func (e Emitter) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	done := e.socket.traceEmit(ctx, event)
	answer, err := e.ask(ctx, event, args)
	done.with(err)
	return answer, err
}

func (e Emitter) ask(ctx context.Context, event string, args []any) (Args, error) {
	s := e.socket
	got := make(chan Args, 1)
	late := make(chan struct{})
	q := s.nsp.acks.ask(s, nil, e.timeout, func(args Args) { got <- args }, func() { close(late) })
	if q == nil {
		s.client.server.metrics.unasked.Inc()
		return Args{}, ErrTooManyAcks
	}
	defer q.cancel()
	if err := e.emit(q.id, event, args); err != nil {
		return Args{}, err
	}
	s.client.flush()
	select {
	case args := <-got:
		return args, args.Err()
	case <-late:
		return Args{}, ErrTimeout
	case <-ctx.Done():
		return Args{}, ctx.Err()
	case <-s.Context().Done():
		return Args{}, ErrDisconnected
	}
}

// Answerer gives one answer to an event: a *Socket, an Emitter or a RemoteSocket.
type Answerer interface {
	EmitWithAck(ctx context.Context, event string, args ...any) (Args, error)
}

// Call emits an event to one client and returns the first value of the answer. Its errors are those
// of EmitWithAck, and those of an answer that is empty or doesn't fit T. Clients can answer
// anything: check the value as you would check the arguments of an event.
//
//	sure, err := socketio.Call[bool](ctx, s.Timeout(10*time.Second), "confirm", order)
func Call[T any](ctx context.Context, a Answerer, event string, args ...any) (T, error) {
	var v, none T
	answer, err := a.EmitWithAck(ctx, event, args...)
	if err != nil {
		return none, err
	}
	if err := answer.Decode(0, &v); err != nil {
		return none, fmt.Errorf("socketio: answer to %q: %w", event, err)
	}
	return v, nil
}
