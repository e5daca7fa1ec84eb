package adapter

import (
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Later is a Local that cannot answer at once, because its sockets are in another process. What other servers ask is
// answered when it knows, or never if it ends before; its Fetch and DeliverWithAck, which would have to wait, are not called
// by this package, nor is Rooms.
type Later interface {
	cluster.Local
	// FetchLater is Fetch. It calls found once, on any goroutine.
	FetchLater(t cluster.Target, found func([]cluster.SocketInfo))
	// DeliverWithAckLater is DeliverWithAck. It calls counted once, and answered once for each answer that comes within
	// timeout, in any order and on any goroutine, but never concurrently.
	DeliverWithAckLater(b *cluster.Broadcast, timeout time.Duration, counted func(clients int), answered func(packet.Payload))
}

// describe calls found with the matching sockets here.
func (n *namespace) describe(t cluster.Target, found func([]cluster.SocketInfo)) {
	if later, ok := n.local.(Later); ok {
		later.FetchLater(t, found)
		return
	}
	found(n.local.Fetch(t))
}

// listRooms calls found with all rooms here.
func (n *namespace) listRooms(found func([]string)) {
	if _, ok := n.local.(Later); !ok {
		found(append([]string{}, n.local.Rooms()...))
		return
	}
	n.describe(cluster.Target{}, func(sockets []cluster.SocketInfo) {
		seen, rooms := make(map[string]bool), []string{}
		for _, s := range sockets {
			for _, room := range s.Rooms {
				if !seen[room] {
					seen[room] = true
					rooms = append(rooms, room)
				}
			}
		}
		found(rooms)
	})
}

// deliverWithAck asks the clients here.
func (n *namespace) deliverWithAck(b *cluster.Broadcast, timeout time.Duration, counted func(int), answered func(packet.Payload)) {
	if later, ok := n.local.(Later); ok {
		later.DeliverWithAckLater(b, timeout, counted, answered)
		return
	}
	counted(n.local.DeliverWithAck(b, timeout, answered))
}
