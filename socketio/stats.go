package socketio

import "iter"

// Stats are counts of a Namespace on this server.
type Stats struct {
	// Sockets is the number of connected sockets, Rooms of the rooms that they are in, without those
	// of their ids.
	Sockets, Rooms int
}

// Stats returns the namespace's counts on this server.
func (n *Namespace) Stats() (stats Stats) {
	for _, n := range n.each() {
		sockets, rooms := n.rooms.counts()
		stats.Sockets += sockets
		stats.Rooms += rooms
	}
	return stats
}

// Rooms yields the rooms of this server but those of sockets' ids, and how many sockets of this
// server are in each. Rooms that appear or disappear meanwhile may be missing. See AllRooms for
// those of all servers.
func (n *Namespace) Rooms() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		for _, n := range n.each() {
			more := true
			n.rooms.each(func(name string, sockets int) bool {
				more = yield(name, sockets)
				return more
			})
			if !more {
				return
			}
		}
	}
}
