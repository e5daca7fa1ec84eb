package link

import (
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Later is a Local that can't answer at once because its sockets are in another process. Package adapter documents it.
type Later interface {
	cluster.Local
	FetchLater(t cluster.Target, found func([]cluster.SocketInfo))
	DeliverWithAckLater(b *cluster.Broadcast, timeout time.Duration, counted func(clients int), answered func(packet.Payload))
}

// describe calls found with the matching sockets here.
func (n *Namespace) describe(t cluster.Target, found func([]cluster.SocketInfo)) {
	if later, ok := n.Local.(Later); ok {
		later.FetchLater(t, found)
		return
	}
	found(n.Local.Fetch(t))
}

// listRooms calls found with all rooms here.
func (n *Namespace) listRooms(found func([]string)) {
	if _, ok := n.Local.(Later); !ok {
		found(append([]string{}, n.Local.Rooms()...))
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
func (n *Namespace) deliverWithAck(b *cluster.Broadcast, timeout time.Duration, counted func(int), answered func(packet.Payload)) {
	if later, ok := n.Local.(Later); ok {
		later.DeliverWithAckLater(b, timeout, counted, answered)
		return
	}
	counted(n.Local.DeliverWithAck(b, timeout, answered))
}
