package wire

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Session is what Node's adapter over streams keeps for a client that may come back: msgpack in base64, of a map with sid,
// pid, rooms and data (docs/adapter-wire.md, 5). The other fields are ours; Node passes over them.
type Session struct {
	ID    string
	PID   string
	Rooms []string
	Data  packet.Payload // an object
	// Owner is the uid of the server that has the socket; empty: none has.
	Owner string
	// Epoch makes the value differ from each that was there before.
	Epoch int
	// From is the place in the stream before all that the socket was ever sent.
	From string
	// Namespace is the one that the session is of. Empty: Node's servers don't say it, and ours of
	// before didn't.
	Namespace string
}

// Bounds of a session that is read. Ids have 20 characters; a program of Node's may make longer
// ones. Rooms cost some 40 bytes each beside their names, however short these are.
const (
	MostSessionID    = 256
	MostSessionRooms = 1 << 16
)

// AppendSession appends a session. It fails when its data is no JSON.
func AppendSession(dst []byte, s Session) ([]byte, error) {
	fields := 5
	if s.Owner != "" {
		fields++
	}
	if s.From != "" {
		fields++
	}
	if s.Namespace != "" {
		fields++
	}
	msg := msgpack.AppendMapHeader(nil, fields)
	msg = msgpack.AppendString(msgpack.AppendString(msg, "sid"), s.ID)
	msg = msgpack.AppendString(msgpack.AppendString(msg, "pid"), s.PID)
	msg = appendRooms(msgpack.AppendString(msg, "rooms"), s.Rooms)
	msg, err := AppendPayload(msgpack.AppendString(msg, "data"), s.Data)
	if err != nil {
		return dst, err
	}
	msg = msgpack.AppendUint(msgpack.AppendString(msg, "epoch"), uint64(s.Epoch))
	if s.Owner != "" {
		msg = msgpack.AppendString(msgpack.AppendString(msg, "owner"), s.Owner)
	}
	if s.From != "" {
		msg = msgpack.AppendString(msgpack.AppendString(msg, "from"), s.From)
	}
	if s.Namespace != "" {
		msg = msgpack.AppendString(msgpack.AppendString(msg, "nsp"), s.Namespace)
	}
	return base64.StdEncoding.AppendEncode(dst, msg), nil
}

// ParseSession reads a session of ours or Node's.
func ParseSession(text string) (s Session, err error) {
	msg, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return s, ErrMalformed
	}
	err = asPacked.each(msg, func(key, value []byte) (err error) {
		var word []byte
		switch string(key) {
		case "sid":
			word, err = asPacked.string(value)
			s.ID = string(word)
		case "pid":
			word, err = asPacked.string(value)
			s.PID = string(word)
		case "owner":
			word, err = asPacked.string(value)
			s.Owner = string(word)
		case "from":
			word, err = asPacked.string(value)
			s.From = string(word)
		case "nsp":
			word, err = asPacked.string(value)
			if s.Namespace = string(word); err == nil && s.Namespace == "" {
				err = ErrMalformed
			}
		case "epoch":
			s.Epoch, err = asPacked.integer(value)
		case "rooms":
			var rooms RoomList
			if rooms, err = asPacked.roomList(nil, value); err == nil && rooms.Len() > MostSessionRooms {
				err = ErrMalformed
			}
			if err == nil {
				s.Rooms = rooms.Strings()
			}
		case "data":
			s.Data.JSON, s.Data.Attachments, err = asPacked.text(value)
		}
		return err
	})
	if err != nil || !isSessionID(s.ID) || !isSessionID(s.PID) {
		return s, ErrMalformed
	}
	if len(s.Data.JSON) == 0 || s.Data.JSON[0] != '{' { // Node's apps may put anything there
		s.Data = packet.Payload{JSON: []byte("{}")}
	}
	return s, nil
}

// isSessionID tells whether a client can be told an id as it is.
func isSessionID(id string) bool {
	return id != "" && len(id) <= MostSessionID && utf8.ValidString(id) &&
		!strings.ContainsFunc(id, func(c rune) bool { return c < ' ' || c == 0x7f })
}
