package wire

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Snapshot is the state that Node's streams adapter stores of a client that may return: msgpack
// in base64, a map of sid, pid, rooms and data (docs/adapter-wire.md, 5). The other fields are
// ours; Node ignores them.
type Snapshot struct {
	ID    string
	PID   string
	Rooms []string
	Data  packet.Payload // an object
	// Owner is the uid of the server that has the socket; empty if none has it.
	Owner string
	// Epoch makes the value differ from each earlier one.
	Epoch int
	// From is the position in the stream before everything that the socket was sent.
	From string
	// Namespace is the snapshot's namespace. Node's servers and older ones of ours leave it
	// empty.
	Namespace string
}

// Limits of a snapshot that is read. Ids have 20 characters; a Node program may make longer ones.
// Each room costs 40 bytes beside its name.
const (
	MaxSnapshotID    = 256
	MaxSnapshotRooms = 1 << 16
)

// AppendSnapshot appends a snapshot. It fails if the data isn't JSON.
func AppendSnapshot(dst []byte, s Snapshot) ([]byte, error) {
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

// ParseSnapshot parses a snapshot of ours or Node's.
func ParseSnapshot(text string) (s Snapshot, err error) {
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
			if rooms, err = asPacked.roomList(nil, value); err == nil && rooms.Len() > MaxSnapshotRooms {
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
	if err != nil || !isSnapshotID(s.ID) || !isSnapshotID(s.PID) {
		return s, ErrMalformed
	}
	if len(s.Data.JSON) == 0 || s.Data.JSON[0] != '{' { // a Node app may store anything there
		s.Data = packet.Payload{JSON: []byte("{}")}
	}
	return s, nil
}

// isSnapshotID reports whether an id can be sent to a client unchanged.
func isSnapshotID(id string) bool {
	return id != "" && len(id) <= MaxSnapshotID && utf8.ValidString(id) &&
		!strings.ContainsFunc(id, func(c rune) bool { return c < ' ' || c == 0x7f })
}
