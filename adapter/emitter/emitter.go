package emitter

import (
	"context"
	"io"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Emitter sends events to the clients of one namespace on all servers. It is immutable.
type Emitter struct {
	sender sender
	conn   io.Closer // of FromEnv; nil: the caller has the connection
}

// New makes an Emitter for the main namespace, "/". It dials nothing.
func New(cfg Config) (*Emitter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	return &Emitter{sender: cfg.Form.open(cfg)}, nil
}

// Close closes the connection to Redis that FromEnv made, also for the Emitters of Of. It does
// nothing for others, whose callers close their clients.
func (e *Emitter) Close() error {
	if e.conn == nil {
		return nil
	}
	return e.conn.Close()
}

// Of is an Emitter for another namespace. A name without a leading slash gets one.
func (e *Emitter) Of(namespace string) *Emitter {
	if namespace == "" || namespace[0] != '/' {
		namespace = "/" + namespace
	}
	return &Emitter{sender: e.sender.of(namespace), conn: e.conn}
}

// Via returns an Emitter whose calls add commands to p and return at once. Nothing is sent until
// the caller executes p; then the commands, one for each call in the order of the calls, have
// Redis's answers. A call that fails adds no command. Such an Emitter isn't safe for concurrent
// use, because a pipeline isn't, and doesn't look for servers.
//
//	pipe := client.Pipeline()
//	for _, order := range orders {
//		if err := e.Via(pipe).To(order.Room).Emit(ctx, "shipped", order); err != nil {
//			return err
//		}
//	}
//	_, err := pipe.Exec(ctx)
func (e *Emitter) Via(p redis.Pipeliner) *Emitter { return &Emitter{sender: e.sender.via(p)} }

func (e *Emitter) operator() Operator { return Operator{sender: e.sender} }

// To selects the sockets in any of rooms.
func (e *Emitter) To(rooms ...string) Operator { return e.operator().To(rooms...) }

// In is To.
func (e *Emitter) In(rooms ...string) Operator { return e.operator().To(rooms...) }

// Except leaves out the sockets in any of rooms.
func (e *Emitter) Except(rooms ...string) Operator { return e.operator().Except(rooms...) }

// Volatile drops the event for clients that aren't ready to receive it.
func (e *Emitter) Volatile() Operator { return e.operator().Volatile() }

// Compress says whether transports may compress the event. They may by default.
func (e *Emitter) Compress(on bool) Operator { return e.operator().Compress(on) }

// Emit is Operator.Emit to all sockets of the namespace.
func (e *Emitter) Emit(ctx context.Context, event string, args ...any) error {
	return e.operator().Emit(ctx, event, args...)
}

// SocketsJoin makes all sockets of the namespace join rooms.
func (e *Emitter) SocketsJoin(ctx context.Context, rooms ...string) error {
	return e.operator().SocketsJoin(ctx, rooms...)
}

// SocketsLeave makes all sockets of the namespace leave rooms.
func (e *Emitter) SocketsLeave(ctx context.Context, rooms ...string) error {
	return e.operator().SocketsLeave(ctx, rooms...)
}

// DisconnectSockets disconnects all sockets of the namespace, with closeTransport their
// connections.
func (e *Emitter) DisconnectSockets(ctx context.Context, closeTransport bool) error {
	return e.operator().DisconnectSockets(ctx, closeTransport)
}

// ServerSideEmit raises an event on the namespace of every server, for handlers such as socketio's
// OnServer and Node's namespace.on; clients are told nothing. The error is ErrReserved, ErrAck, one
// of the arguments, or Redis's.
//
// An event with binary arguments goes as msgpack, which servers of ours and Node's read, and keeps
// them binary: in Node's emitter they become lists of numbers.
func (e *Emitter) ServerSideEmit(ctx context.Context, event string, args ...any) error {
	if err := checkServerEvent(event, args); err != nil {
		return err
	}
	p, err := packet.EncodeEvent(event, args...)
	if err != nil {
		return err
	}
	return e.sender.order(ctx, wire.Request{Type: wire.ServerSideEmit, Data: p})
}
