package socketio

import (
	"context"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Payload is the content of an event or an acknowledgement as it travels: a JSON array and its attachments.
type Payload = packet.Payload

// Cluster links servers, so that what one emits reaches the clients of all. Package adapter has the one over
// Redis; a Hub links servers of one process.
type Cluster interface {
	// Open makes the adapter of one namespace. It is called once for each namespace of a server, may be called before
	// Run and while Run is going, and does not block.
	Open(local Local) (Adapter, error)
	// Run carries operations until ctx ends, and returns when everything it started has ended.
	Run(ctx context.Context) error
}

// Adapter carries the operations of one namespace to the other servers. The namespace has done its own share before
// it calls, except where a method says otherwise. All methods may be called concurrently; those without a context
// never block.
type Adapter interface {
	// Broadcast sends b to the clients of the other servers, in the order of the calls.
	Broadcast(b *Broadcast) error
	// BroadcastWithAck sends b and collects what the other servers' clients answer. It calls counted once for each
	// server, with the number of clients it asked there, and answered once for each answer, never concurrently; it
	// returns when all other servers reported their counts and all those answers came, when timeout has passed (no
	// error then: the caller knows what is missing), or when ctx ended.
	BroadcastWithAck(ctx context.Context, b *Broadcast, timeout time.Duration, counted func(clients int), answered func(Payload)) error
	// FetchSockets describes the matching sockets of the other servers. What was learned is returned beside the error.
	FetchSockets(ctx context.Context, t Target) ([]SocketInfo, error)
	// Join makes the matching sockets of the other servers join rooms.
	Join(t Target, rooms []string) error
	// Leave makes the matching sockets of the other servers leave rooms.
	Leave(t Target, rooms []string) error
	// Disconnect disconnects the matching sockets of the other servers.
	Disconnect(t Target, closeTransport bool) error
	// ServerSideEmit raises an event on the other servers.
	ServerSideEmit(p Payload) error
	// ServerSideEmitWithAck raises an event on the other servers and returns one answer for each. What came is returned
	// beside the error.
	ServerSideEmitWithAck(ctx context.Context, p Payload) ([]Payload, error)
	// ServerSideEmitTo raises an event on one server, by the ID of its Peer. It returns ErrNoPeer when that is not known.
	ServerSideEmitTo(peer string, p Payload) error
	// ServerSideEmitToWithAck is ServerSideEmitTo for an event that is answered.
	ServerSideEmitToWithAck(ctx context.Context, peer string, p Payload) (Payload, error)
	// Peers are the other servers that have this namespace and are known by name.
	Peers() []Peer
	// ServerCount is the number of servers that have this namespace, this one included.
	ServerCount(ctx context.Context) (int, error)
	// AllRooms are the rooms that sockets of the other servers are in, those of single sockets included, each once. What was
	// learned is returned beside the error.
	AllRooms(ctx context.Context) ([]string, error)
	// Close ends the namespace's part in the cluster. No call follows it.
	Close() error
}

// Local is a namespace as its adapter sees it: where the operations of other servers are applied. It is safe for
// concurrent use; broadcasts are to be handed in, one by one, in the order in which they arrived.
type Local interface {
	// Name is the namespace's name, with its leading slash.
	Name() string
	// HasRoom reports whether a socket here is in room. It does not allocate.
	HasRoom(room []byte) bool
	// Deliver sends b to the matching sockets here.
	Deliver(b *Broadcast)
	// DeliverWithAck sends b to the matching sockets here and returns how many there are. It calls answered for each
	// answer that comes within timeout, never concurrently and never after that, perhaps before DeliverWithAck has
	// returned.
	DeliverWithAck(b *Broadcast, timeout time.Duration, answered func(Payload)) (clients int)
	// Fetch describes the matching sockets here.
	Fetch(t Target) []SocketInfo
	// ApplyJoin makes the matching sockets here join rooms.
	ApplyJoin(t Target, rooms []string)
	// ApplyLeave makes the matching sockets here leave rooms.
	ApplyLeave(t Target, rooms []string)
	// ApplyDisconnect disconnects the matching sockets here.
	ApplyDisconnect(t Target, closeTransport bool)
	// ServerSideEvent runs the handlers that OnServer registered for an event another server raised. It calls reply
	// at most once, on any goroutine; reply is nil when no answer is wanted.
	ServerSideEvent(p Payload, reply func(Payload))
	// Rooms are all rooms somebody here is in, the rooms named by a socket's own id included.
	Rooms() []string
}

// RoomWatcher is a Local whose adapter can follow its rooms.
type RoomWatcher interface {
	// WatchRooms has f told of every change of a room here from now on, as Namespace.OnRoom does.
	WatchRooms(f func(e RoomEvent))
}

// Target selects sockets: those in any of Rooms (of the whole namespace, when there are none) and in none of Except.
type Target struct {
	Rooms  []string
	Except []string
}

// Flags are what was asked of one broadcast.
type Flags struct {
	// Volatile lets a client miss it that is not ready to receive.
	Volatile bool
	// Compress, when set, overrides whether transports may compress it.
	Compress *bool
	// Timeout is how long answers are waited for.
	Timeout time.Duration
	// ExpectSingleResponse says that it is for one socket, whose answer is a value and not a list.
	ExpectSingleResponse bool
}

// Broadcast is one event on its way to the sockets of a Target. It is immutable once handed over.
type Broadcast struct {
	Target
	Flags Flags
	Data  Payload // ["event",args...]
	// Offset is the event's place in a Recoverer's log: clients get it as one more argument. Empty: none.
	Offset string
}

// SocketInfo describes a socket to another server.
type SocketInfo struct {
	ID        string
	Handshake Handshake
	Rooms     []string
	// Data is what the app keeps with the socket: the text of a JSON object, with placeholders for Attachments, and with
	// Dates as a Payload has them.
	Data        []byte
	Attachments [][]byte
	Dates       []int
}

// Peer is another server of the cluster, in one namespace.
type Peer struct {
	// ID names it for as long as it runs.
	ID string
	// Name is what its operator calls it, such as "host-1/worker-3"; empty where it says no name.
	Name string
}
