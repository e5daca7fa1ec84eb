package wire

import (
	"math"
	"time"

	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// eventType is the type of every broadcast's packet, with binary or without. Early emitters sent
// binaryEventType.
const (
	eventType       = 2
	binaryEventType = 5
)

// Flags are the flags of a broadcast that cross Redis.
type Flags struct {
	ExpectSingleResponse bool
	Timeout              time.Duration // in whole milliseconds
	Volatile             bool
	Compress             *bool
}

// Options have the target and the flags of a message.
type Options struct {
	Rooms  []string // empty: the whole namespace
	Except []string
	Flags  Flags
}

// AppendBroadcast appends [uid, packet, opts], the message of a broadcast (docs/adapter-wire.md,
// 2.2).
func AppendBroadcast(dst []byte, uid, namespace string, p packet.Payload, o Options) ([]byte, error) {
	dst = msgpack.AppendArrayHeader(dst, 3)
	dst = msgpack.AppendString(dst, uid)
	dst, err := appendPacket(dst, namespace, p)
	if err != nil {
		return dst, err
	}
	return appendOptions(dst, o), nil
}

func appendPacket(dst []byte, namespace string, p packet.Payload) ([]byte, error) {
	dst = msgpack.AppendMapHeader(dst, 3)
	dst = append(msgpack.AppendString(dst, "type"), eventType)
	dst, err := AppendPayload(msgpack.AppendString(dst, "data"), p)
	if err != nil {
		return dst, err
	}
	return msgpack.AppendString(msgpack.AppendString(dst, "nsp"), namespace), nil
}

func appendOptions(dst []byte, o Options) []byte {
	dst = msgpack.AppendMapHeader(dst, 3)
	dst = appendRooms(msgpack.AppendString(dst, "rooms"), o.Rooms)
	dst = appendRooms(msgpack.AppendString(dst, "except"), o.Except)
	return appendFlags(msgpack.AppendString(dst, "flags"), o.Flags)
}

func appendFlags(dst []byte, f Flags) []byte {
	header := len(dst)
	dst = msgpack.AppendMapHeader(dst, 0)
	if f.ExpectSingleResponse {
		dst = append(msgpack.AppendString(dst, "expectSingleResponse"), 0xc3)
		dst[header]++
	}
	if f.Timeout > 0 {
		dst = msgpack.AppendUint(msgpack.AppendString(dst, "timeout"), uint64(f.Timeout.Milliseconds()))
		dst[header]++
	}
	if f.Volatile {
		dst = append(msgpack.AppendString(dst, "volatile"), 0xc3)
		dst[header]++
	}
	if f.Compress != nil {
		dst = append(msgpack.AppendString(dst, "compress"), 0xc2)
		if *f.Compress {
			dst[len(dst)-1] = 0xc3
		}
		dst[header]++
	}
	return dst
}

// Broadcast is a parsed broadcast. Its parts alias the message and aren't decoded yet.
type Broadcast struct {
	UID       []byte
	Namespace []byte // "/" when the packet names none
	Rooms     RoomList
	Except    RoomList
	data      []byte
	flags     []byte
}

// Sender returns the sender's uid from the first bytes of a broadcast, or nil.
func Sender(msg []byte) []byte {
	r := reader{B: msg}
	if _, err := r.Open(msgpack.Array); err != nil {
		return nil
	}
	uid, err := r.String()
	if err != nil {
		return nil
	}
	return uid
}

// ParseBroadcast finds the parts of a broadcast without allocating. Broadcast's methods can read
// everything that it accepts, except the arguments, which Payload checks.
func ParseBroadcast(msg []byte) (b Broadcast, err error) {
	r := reader{B: msg}
	if n, err := r.Open(msgpack.Array); err != nil || n < 3 {
		return b, ErrMalformed
	}
	if b.UID, err = r.String(); err != nil {
		return b, err
	}
	if err := b.parsePacket(&r); err != nil {
		return b, err
	}
	if err := b.parseOptions(&r); err != nil {
		return b, err
	}
	return b, nil
}

var mainNamespace = []byte("/")

func (b *Broadcast) parsePacket(r *reader) error {
	n, err := r.Open(msgpack.Map)
	if err != nil {
		return err
	}
	b.Namespace = mainNamespace
	for range n {
		key, err := r.String()
		if err != nil {
			return err
		}
		switch string(key) {
		case "type":
			if v, err := r.Next(); err != nil || v.Kind != msgpack.Uint || v.Num != eventType && v.Num != binaryEventType {
				return ErrMalformed
			}
		case "data":
			if b.data, err = r.Raw(); err != nil {
				return err
			}
		case "nsp":
			if b.Namespace, err = r.String(); err != nil {
				return err
			}
		default:
			if err := r.Skip(); err != nil {
				return err
			}
		}
	}
	return checkEvent(b.data)
}

// checkEvent returns an error unless data is an array that begins with an event's name, as text
// or number.
func checkEvent(data []byte) error {
	r := reader{B: data}
	if n, err := r.Open(msgpack.Array); err != nil || n == 0 {
		return ErrMalformed
	}
	if _, ok := r.Short(); ok {
		return nil
	}
	if v, err := r.Next(); err != nil || v.Kind != msgpack.String && v.Kind != msgpack.Uint && v.Kind != msgpack.Int {
		return ErrMalformed
	}
	return nil
}

func (b *Broadcast) parseOptions(r *reader) error {
	n, err := r.Open(msgpack.Map)
	if err != nil {
		return err
	}
	for range n {
		key, err := r.String()
		if err != nil {
			return err
		}
		switch string(key) {
		case "rooms":
			b.Rooms, err = parseRoomList(r)
		case "except":
			b.Except, err = parseRoomList(r)
		case "flags":
			b.flags, err = r.Raw()
		default:
			err = r.Skip()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Payload transcodes the event and its arguments. Its attachments alias the message.
func (b *Broadcast) Payload() (packet.Payload, error) {
	// JSON is about as long as msgpack, and often a little longer.
	text, attachments, err := DecodeValue(make([]byte, 0, len(b.data)+len(b.data)/4+16), nil, b.data)
	return packet.Payload{JSON: text, Attachments: attachments}, err
}

// Flags returns the known flags. It ignores others, and values of a wrong type.
func (b *Broadcast) Flags() Flags { return parseFlags(b.flags) }

func parseFlags(msg []byte) (f Flags) {
	r := reader{B: msg}
	n, err := r.Open(msgpack.Map)
	for ; err == nil && n > 0; n-- {
		var key []byte
		var v msgpack.Value
		if key, err = r.String(); err != nil {
			break
		}
		at := r.I
		if v, err = r.Next(); err != nil {
			break
		}
		truth := v.Kind == msgpack.Bool && v.Num != 0
		switch string(key) {
		case "volatile":
			f.Volatile = truth
		case "expectSingleResponse":
			f.ExpectSingleResponse = truth
		case "compress":
			if v.Kind == msgpack.Bool {
				f.Compress = &truth
			}
		case "timeout":
			f.Timeout = milliseconds(v)
		}
		r.I = at
		err = r.Skip()
	}
	return f
}

// maxTimeout is the longest time of a JavaScript timer.
const maxTimeout = math.MaxInt32

func milliseconds(v msgpack.Value) time.Duration {
	switch {
	case v.Kind == msgpack.Uint:
		return time.Duration(min(v.Num, maxTimeout)) * time.Millisecond
	case v.Kind == msgpack.Float:
		if f := math.Float64frombits(v.Num); f > 0 {
			return time.Duration(min(f, maxTimeout)) * time.Millisecond
		}
	}
	return 0
}
