package packet

import (
	"strconv"
	"strings"
)

// numberRoom starts the name of a room that a Node server knows by a number. On such servers 42 and
// "42" are two rooms; no text that a client may send as a room name needs to begin with a zero
// byte.
const numberRoom = "\x00n"

// NumberRoom is the name, here, of the room that Node servers call by the number n.
func NumberRoom(n int64) string {
	return numberRoom + strconv.FormatInt(n, 10)
}

// RoomNumber reports whether room was made by NumberRoom, and of which number.
func RoomNumber(room string) (int64, bool) {
	text, ok := strings.CutPrefix(room, numberRoom)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}
