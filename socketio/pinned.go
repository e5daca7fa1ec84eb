package socketio

import (
	"slices"
	"strings"
)

// pinPrefix begins the names of rooms whose members stay where they are.
const pinPrefix = "sidereal:pinned:"

// Pinned returns the name of a room that keeps its members on their server: a rebalance
// (docs/operations.md) moves no session that has a socket in such a room. Use it for clients that
// must not be interrupted, such as those of a call:
//
//	s.Join("call:7", socketio.Pinned("call:7"))
//
// A handler on any server pins all members of a room, and releases them:
//
//	io.To("match:7").SocketsJoin(socketio.Pinned("match:7"))
//	io.To("match:7").SocketsLeave(socketio.Pinned("match:7"))
//
// It is a room like any other: a socket leaves it when it disconnects, recovery restores it, and it
// counts for Config.MaxRooms. It doesn't stop a drain. Since clients in it can't be moved, don't
// let clients choose names of rooms that begin with "sidereal:pinned:".
func Pinned(room string) string { return pinPrefix + room }

// isPinned reports whether the socket is in a Pinned room.
func (s *Socket) isPinned() bool {
	s.nsp.rooms.mu.RLock()
	defer s.nsp.rooms.mu.RUnlock()
	return slices.ContainsFunc(s.in.list, func(m membership) bool {
		return m.room != nil && strings.HasPrefix(m.room.name, pinPrefix)
	})
}
