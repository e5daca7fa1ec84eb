package cluster

import (
	"context"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Cluster links servers, so that an event that one of them emits reaches the clients of all.
type Cluster interface {
	// Open makes the adapter of one namespace. The server calls it once for each of its
	// namespaces, before Run or while Run is going. Open doesn't block.
	Open(local Local) (Adapter, error)
	// Run carries operations until ctx ends. It returns when everything it started has ended.
	Run(ctx context.Context) error
}

// Adapter carries the operations of one namespace to the other servers. The namespace has applied
// an operation to its own sockets before it calls. All methods may be called concurrently. Methods
// without a context never block.
type Adapter interface {
	// Broadcast sends b to the clients of the other servers, in the order of the calls.
	Broadcast(b *Broadcast) error
	// Order makes the other servers carry out o. Orders and broadcasts keep the order of the calls.
	Order(o Order) error
	// Ask asks the other servers and calls answer for each answer, never concurrently and never
	// after it has returned. It returns when all have answered, or when ctx ends. If servers didn't
	// answer in time the error is a *MissingError. The end of Question.Timeout isn't an error: the
	// caller knows how many answers are missing.
	Ask(ctx context.Context, q Question, answer func(Answer)) error
	// ServerCount counts the servers that have this namespace, this one included.
	ServerCount(ctx context.Context) (int, error)
	// Peers lists the other servers that have this namespace and that are known by name.
	Peers() []Peer
	// Close takes the namespace out of the cluster. No call follows it.
	Close() error
}

// Local is a namespace as its adapter sees it: there the adapter applies the operations of other
// servers. All methods may be called concurrently, but the adapter calls Deliver, Apply and Answer
// for one message after the other, in the order in which they arrived.
type Local interface {
	// Name returns the namespace's name, with its leading slash.
	Name() string
	// HasRoom reports whether a socket here is in room. It doesn't allocate.
	HasRoom(room []byte) bool
	// Deliver sends b to the matching sockets here.
	Deliver(b *Broadcast)
	// Apply carries out an order of another server.
	Apply(o Order)
	// Answer answers a question of another server. It calls answer as Ask does, before or after it
	// returns, on any goroutine, but never concurrently and never after the question's Timeout. If
	// there is no answer, it never calls it.
	Answer(q Question, answer func(Answer))
}

// RoomWatcher is a Local that reports changes of its rooms, for adapters that subscribe to rooms.
type RoomWatcher interface {
	// WatchRooms calls changed from now on: with occupied true after socket id joined room, and
	// with occupied false and an empty id after the last socket left it. Calls may be concurrent
	// and out of order, so that only a look at HasRoom tells the present state. changed must not
	// block.
	WatchRooms(changed func(room, id string, occupied bool))
}

// Peer is another server of the cluster, in one namespace.
type Peer struct {
	// ID names the server for as long as it runs.
	ID string
	// Name is the name that its operator gave it, such as "host-1/worker-3". It may be empty.
	Name string
}

// SocketInfo describes a socket to another server.
type SocketInfo struct {
	ID    string
	Rooms []string
	// Handshake is the JSON object that Node's servers call socket.handshake.
	Handshake []byte
	// Data is the text of an object, the socket's shared data, rather than that of an array.
	Data packet.Payload
}
