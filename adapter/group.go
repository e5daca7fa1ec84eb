package adapter

import (
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Group is a set of adapters in one process whose servers reach each other without Redis. Over Redis they don't hear, ask
// or count each other. Its zero value is empty and ready. It is safe for concurrent use.
type Group struct{ members link.Group }

// Later is a Local that can't answer at once because its sockets are in another process. The adapter answers other servers
// when Later has the answer, or never if that ends before. It doesn't call Later's Fetch and DeliverWithAck, which would
// have to wait, nor Rooms.
type Later interface {
	cluster.Local
	// FetchLater is Fetch. It calls found once, on any goroutine.
	FetchLater(t cluster.Target, found func([]cluster.SocketInfo))
	// DeliverWithAckLater is DeliverWithAck. It calls counted once, and answered once for each answer that comes within
	// timeout, in any order and on any goroutine, but never concurrently.
	DeliverWithAckLater(b *cluster.Broadcast, timeout time.Duration, counted func(clients int), answered func(packet.Payload))
}
