package cluster

import (
	"context"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// RecoveringAdapter is an Adapter whose cluster keeps what connection state recovery needs.
type RecoveringAdapter interface {
	Adapter
	// Recover turns recovery on. The server calls it before it uses the namespace. A client may be
	// away for as long as maxDisconnection. maxBytes bounds the events that this process keeps of
	// the namespace. The adapter calls gone, which doesn't block, with each snapshot of Left whose
	// client has been away for too long: once in the cluster, unless the server that called Left
	// has ended by then.
	Recover(maxDisconnection time.Duration, maxBytes int, gone func(Snapshot)) Recoverer
}

// Recoverer keeps the snapshots of one namespace, and a log of the events that a client may have
// missed. Its methods may be called concurrently.
type Recoverer interface {
	// Emit delivers b to the sockets of all servers, this one included, in the order of the log. It
	// doesn't block: the delivery may follow its return, in the order of the calls.
	Emit(b *Broadcast) error
	// After calls f once all events of earlier Emits have been delivered here: usually at once,
	// else soon, on another goroutine. f must not block.
	After(f func())
	// Begin starts the lease of a new socket.
	Begin(pid string, h Holder) Lease
	// Resume takes the snapshot of a client that came back and starts a new lease. It returns false
	// if there is no snapshot in this namespace, or if events since offset have left the log. Until
	// the lease ends nobody else can resume the same snapshot. With an empty offset the client has
	// seen no event that had one.
	Resume(ctx context.Context, pid, offset string, h Holder) (Snapshot, Lease, bool)
}

// Holder is a socket as a Recoverer sees it.
type Holder interface {
	// Snapshot describes the socket as it is now. It returns false once the socket has ended.
	Snapshot() (Snapshot, bool)
	// Displaced tells the socket that another server has its lease, and the client with it.
	Displaced()
}

// Lease is the time during which this server has a socket. It ends with Left or End; later calls
// have no effect.
type Lease interface {
	// Enter calls f with the events that the client missed. It delivers nothing while f runs. f
	// makes the socket visible to broadcasts and reports whether it did. Enter returns after f.
	// Once ctx ends it no longer looks for events that aren't in this process.
	Enter(ctx context.Context, f func(missed []packet.Payload) bool)
	// Changed tells that the socket's rooms or data have changed.
	Changed()
	// Left tells that the client has gone and may come back.
	Left(was Snapshot)
	// End tells that the client has gone for good.
	End()
}

// Snapshot is the state of a socket that its client gets back.
type Snapshot struct {
	ID    string // the socket's
	PID   string // the secret by which the client proves that it had the socket
	Rooms []string
	Data  packet.Payload // the text of an object, the socket's shared data; empty: none
	// Unproven says that the snapshot may belong to another namespace. The middlewares then decide
	// about the client as about a new one, before it gets anything but the ids.
	Unproven bool
}
