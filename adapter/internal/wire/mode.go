package wire

import "github.com/sidereal-io/sidereal/socketio/packet"

// Mode says which rooms have a channel of their own in the sharded adapter (docs/adapter-wire.md, 4), with Node's names.
type Mode string

// The modes of Node's option subscriptionMode.
const (
	Static         Mode = "static"
	Dynamic        Mode = "dynamic"
	DynamicPrivate Mode = "dynamic-private"
)

// Known tells whether m is a mode.
func (m Mode) Known() bool { return m == Static || m == Dynamic || m == DynamicPrivate }

// SpeaksTo tells whether broadcasts to a room go to a channel of its own. In Dynamic the sender goes by the length of the
// name, since a socket may be on any server.
func (m Mode) SpeaksTo(room string) bool {
	return m == DynamicPrivate || m == Dynamic && !looksLikeSocket(room)
}

// looksLikeSocket tells whether Node would take a room's name for the id of a socket: a string of 20 UTF-16 units.
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
