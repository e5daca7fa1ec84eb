package wire

import "github.com/sidereal-io/sidereal/socketio/packet"

// Mode selects the rooms with a channel of their own in the sharded adapter
// (docs/adapter-wire.md, 4), by Node's names.
type Mode string

// The modes of Node's option subscriptionMode.
const (
	Static         Mode = "static"
	Dynamic        Mode = "dynamic"
	DynamicPrivate Mode = "dynamic-private"
)

// Known reports whether m is a mode.
func (m Mode) Known() bool { return m == Static || m == Dynamic || m == DynamicPrivate }

// SpeaksTo reports whether broadcasts to a room go to the room's own channel. In Dynamic the
// sender judges by the length of the name, because a socket may be on any server.
func (m Mode) SpeaksTo(room string) bool {
	return m == DynamicPrivate || m == Dynamic && !looksLikeSocket(room)
}

// looksLikeSocket reports whether Node takes a room's name for a socket id: a string of 20 UTF-16
// units.
func looksLikeSocket(room string) bool {
	if _, number := packet.RoomNumber(room); number || len(room) < 20 || len(room) > 60 {
		return false
	}
	units := 0
	for _, c := range room {
		if units++; c > 0xffff {
			units++
		}
	}
	return units == 20
}
