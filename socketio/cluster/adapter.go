package cluster

import (
	"context"
	"time"

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
	// BroadcastWithAck sends b and collects the answers of the other servers' clients. It calls
	// counted once for each server, with the number of clients asked there, and answered once for
	// each answer, never concurrently. It returns when the other servers reported their counts and
	// all those answers came, when ctx ended, or when timeout has passed. The last isn't an error:
	// the caller knows how many answers are missing.
	BroadcastWithAck(ctx context.Context, b *Broadcast, timeout time.Duration, counted func(clients int), answered func(packet.Payload)) error
	// FetchSockets describes the matching sockets of the other servers. Together with an error it
	// returns the sockets it learned of.
	FetchSockets(ctx context.Context, t Target) ([]SocketInfo, error)
	// Join makes the matching sockets of the other servers join rooms.
	Join(t Target, rooms []string) error
	// Leave makes the matching sockets of the other servers leave rooms.
	Leave(t Target, rooms []string) error
	// Disconnect disconnects the matching sockets of the other servers.
	Disconnect(t Target, closeTransport bool) error
	// ServerSideEmit raises an event on the other servers.
	ServerSideEmit(p packet.Payload) error
	// ServerSideEmitWithAck raises an event on the other servers and returns one answer of each.
	// Together with an error it returns the answers that came.
	ServerSideEmitWithAck(ctx context.Context, p packet.Payload) ([]packet.Payload, error)
	// ServerSideEmitTo raises an event on one server, by the ID of its Peer. It returns ErrNoPeer if
	// there is no such server.
	ServerSideEmitTo(peer string, p packet.Payload) error
	// ServerSideEmitToWithAck raises an event on one server and returns its answer.
	ServerSideEmitToWithAck(ctx context.Context, peer string, p packet.Payload) (packet.Payload, error)
	// Peers lists the other servers that have this namespace and that are known by name.
	Peers() []Peer
	// ServerCount counts the servers that have this namespace, this one included.
	ServerCount(ctx context.Context) (int, error)
	// AllRooms lists the rooms of the other servers' sockets, each once. A socket's own id is one of
	// its rooms. Together with an error it returns the rooms it learned of.
	AllRooms(ctx context.Context) ([]string, error)
	// Close takes the namespace out of the cluster. No call follows it.
	Close() error
}

// Local is a namespace as its adapter sees it: there the adapter applies the operations of other
// servers. All methods may be called concurrently, but the adapter calls Deliver and
// DeliverWithAck for one broadcast after the other, in the order in which they arrived.
type Local interface {
	// Name returns the namespace's name, with its leading slash.
	Name() string
	// HasRoom reports whether a socket here is in room. It doesn't allocate.
	HasRoom(room []byte) bool
	// Deliver sends b to the matching sockets here.
	Deliver(b *Broadcast)
	// DeliverWithAck sends b to the matching sockets here and returns how many there are. It calls
	// answered for each answer that comes within timeout, never concurrently and never later. The
	// first call may precede the return of DeliverWithAck.
	DeliverWithAck(b *Broadcast, timeout time.Duration, answered func(packet.Payload)) (clients int)
	// Fetch describes the matching sockets here.
	Fetch(t Target) []SocketInfo
	// ApplyJoin makes the matching sockets here join rooms.
	ApplyJoin(t Target, rooms []string)
	// ApplyLeave makes the matching sockets here leave rooms.
	ApplyLeave(t Target, rooms []string)
	// ApplyDisconnect disconnects the matching sockets here.
	ApplyDisconnect(t Target, closeTransport bool)
	// ServerSideEvent runs the OnServer handlers for an event of another server. It calls reply at
	// most once, on any goroutine. A nil reply says that nobody waits for an answer.
	ServerSideEvent(p packet.Payload, reply func(packet.Payload))
	// Rooms lists the rooms of the sockets here. A socket's own id is one of its rooms.
	Rooms() []string
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
	// Data is the text of a JSON object, the values that the app keeps with the socket. It has
	// placeholders for Attachments, and Dates as a packet.Payload has them.
	Data        []byte
	Attachments [][]byte
	Dates       []int
}
