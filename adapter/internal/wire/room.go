package wire

import (
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/internal/number"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// numberPrefix begins our name of every room that is a number in Node.
var numberPrefix = strings.TrimSuffix(packet.NumberRoom(0), "0")

// AppendNumberRoom appends packet.NumberRoom(n).
func AppendNumberRoom(dst []byte, n int64) []byte {
	return strconv.AppendInt(append(dst, numberPrefix...), n, 10)
}

// roomText returns a room's name as it stands in a channel's name.
func roomText(room string) string {
	if n, ok := packet.RoomNumber(room); ok {
		return strconv.FormatInt(n, 10)
	}
	return room
}

// appendRoom appends a room as msgpack, as a number if it is one in Node.
func appendRoom(dst []byte, room string) []byte {
	if n, ok := packet.RoomNumber(room); ok {
		return msgpack.AppendInt(dst, n)
	}
	return msgpack.AppendString(dst, room)
}

func appendRooms(dst []byte, rooms []string) []byte {
	dst = msgpack.AppendArrayHeader(dst, len(rooms))
	for _, r := range rooms {
		dst = appendRoom(dst, r)
	}
	return dst
}

// appendJSONRooms appends rooms as a JSON array.
func appendJSONRooms(dst []byte, rooms []string) []byte {
	dst = append(dst, '[')
	for i, r := range rooms {
		if i > 0 {
			dst = append(dst, ',')
		}
		if n, ok := packet.RoomNumber(r); ok {
			dst = strconv.AppendInt(dst, n, 10)
		} else {
			dst = AppendString(dst, r)
		}
	}
	return append(dst, ']')
}

// RoomList is a msgpack array of rooms inside a message. Parse checks it.
type RoomList []byte

// parseRoomList reads a list. It refuses an element that can't be a room, because skipping it
// would widen the broadcast.
func parseRoomList(r *reader) (RoomList, error) {
	from := r.I
	n, err := r.Open(msgpack.Array)
	if err != nil {
		return nil, err
	}
	for range n {
		if _, ok := r.Short(); ok {
			continue
		}
		v, err := r.Next()
		if err != nil {
			return nil, err
		}
		if !isRoom(v) {
			return nil, ErrMalformed
		}
	}
	return RoomList(r.B[from:r.I]), nil
}

// nextRoom returns the name of one room of a checked list, which may be in scratch.
func nextRoom(r *reader, scratch []byte) []byte {
	if name, ok := r.Short(); ok {
		return name
	}
	v, _ := r.Next()
	return roomName(scratch, v)
}

func isRoom(v msgpack.Value) bool {
	return v.Kind == msgpack.String || v.Kind == msgpack.Int || v.Kind == msgpack.Uint || v.Kind == msgpack.Float
}

// roomName returns our name of the room v, which aliases the message or is in scratch. A number
// that isn't an integer shares the name of its text.
func roomName(scratch []byte, v msgpack.Value) []byte {
	switch v.Kind {
	case msgpack.Int:
		return AppendNumberRoom(scratch[:0], int64(v.Num))
	case msgpack.Uint:
		return strconv.AppendUint(append(scratch[:0], numberPrefix...), v.Num, 10)
	case msgpack.Float:
		f := math.Float64frombits(v.Num)
		if f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
			return AppendNumberRoom(scratch[:0], int64(f))
		}
		return number.Append(scratch[:0], f, 64)
	}
	return v.Data
}

// Len returns the number of rooms.
func (l RoomList) Len() int {
	if len(l) == 0 {
		return 0
	}
	r := reader{B: l}
	n, _ := r.Open(msgpack.Array)
	return n
}

// Any reports whether has returns true for one of the rooms. The names are valid during has's
// call. Any doesn't allocate if scratch has 32 bytes of capacity.
func (l RoomList) Any(scratch []byte, has func(room []byte) bool) bool {
	r := reader{B: l}
	n, _ := r.Open(msgpack.Array)
	for range n {
		if has(nextRoom(&r, scratch)) {
			return true
		}
	}
	return false
}

// Strings returns the rooms, or nil if there are none.
func (l RoomList) Strings() []string {
	n := l.Len()
	if n == 0 {
		return nil
	}
	var scratch [32]byte
	rooms := make([]string, 0, n)
	r := reader{B: l}
	_, _ = r.Open(msgpack.Array)
	for range n {
		rooms = append(rooms, string(nextRoom(&r, scratch[:])))
	}
	return rooms
}

// roomNames is a JSON array of rooms.
type roomNames []string

// UnmarshalJSON refuses elements that can't be rooms, like parseRoomList.
func (l *roomNames) UnmarshalJSON(text []byte) error {
	var values []jsontext.Value
	if err := json.Unmarshal(text, &values, lenient); err != nil {
		return err
	}
	*l = nil
	for _, v := range values {
		room, ok := roomFromJSON(v)
		if !ok {
			return ErrMalformed
		}
		*l = append(*l, room)
	}
	return nil
}

// roomFromJSON reads one room.
func roomFromJSON(text jsontext.Value) (string, bool) {
	switch text.Kind() {
	case '"':
		var s string
		err := json.Unmarshal(text, &s, lenient)
		return s, err == nil
	case '0':
		f := number.Parse(text)
		return string(roomName(nil, msgpack.Value{Kind: msgpack.Float, Num: math.Float64bits(f)})), !math.IsInf(f, 0)
	}
	return "", false
}
