package emitter

import (
	"context"
	"slices"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// Operator selects sockets of a namespace, on all servers, and acts on them. It is an immutable
// value: each method returns a new one. It may be kept and used concurrently.
//
// Each socket is alone in a room that has its id. packet.NumberRoom names a room that Node's
// servers know by a number.
type Operator struct {
	sender  sender
	options wire.Options
}

// To selects the sockets in any of rooms, besides those selected before.
func (o Operator) To(rooms ...string) Operator {
	o.options.Rooms = add(o.options.Rooms, rooms)
	return o
}

// In is To.
func (o Operator) In(rooms ...string) Operator { return o.To(rooms...) }

// Except leaves out the sockets in any of rooms.
func (o Operator) Except(rooms ...string) Operator {
	o.options.Except = add(o.options.Except, rooms)
	return o
}

// Volatile drops the event for clients that aren't ready to receive it.
func (o Operator) Volatile() Operator {
	o.options.Flags.Volatile = true
	return o
}

// Compress says whether transports may compress the event. They may by default.
func (o Operator) Compress(on bool) Operator {
	o.options.Flags.Compress = &on
	return o
}

// add returns a new list in which each room stands once, where it was named first.
func add(rooms, more []string) []string {
	all := slices.Concat(rooms, more)
	seen := make(map[string]bool, len(all))
	return slices.DeleteFunc(all, func(room string) bool {
		before := seen[room]
		seen[room] = true
		return before
	})
}

// Emit sends an event to the selected sockets. Arguments are encoded as socketio's Emit does;
// []byte values, at any depth, reach clients as binary. The error is ErrReserved, ErrAck, one of
// the arguments, or Redis's.
func (o Operator) Emit(ctx context.Context, event string, args ...any) error {
	if err := checkEvent(event, args); err != nil {
		return err
	}
	return o.sender.broadcast(ctx, o.options, event, args)
}

// SocketsJoin makes the selected sockets join rooms.
func (o Operator) SocketsJoin(ctx context.Context, rooms ...string) error {
	return o.move(ctx, wire.RemoteJoin, rooms)
}

// SocketsLeave makes the selected sockets leave rooms.
func (o Operator) SocketsLeave(ctx context.Context, rooms ...string) error {
	return o.move(ctx, wire.RemoteLeave, rooms)
}

// move sends nothing when there is no room to join or leave.
func (o Operator) move(ctx context.Context, how wire.RequestType, rooms []string) error {
	if len(rooms) == 0 {
		return nil
	}
	return o.sender.order(ctx, wire.Request{Type: how, Options: o.options, JoinLeave: rooms})
}

// DisconnectSockets disconnects the selected sockets, with closeTransport their connections.
func (o Operator) DisconnectSockets(ctx context.Context, closeTransport bool) error {
	return o.sender.order(ctx, wire.Request{Type: wire.RemoteDisconnect, Options: o.options, Close: closeTransport})
}
