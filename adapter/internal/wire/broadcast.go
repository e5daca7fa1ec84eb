package wire

import (
	"math"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// eventType is the only type a broadcast's packet has, with binary or without; binaryEventType was sent by early
// emitters.
const (
	eventType       = 2
	binaryEventType = 5
)

// Flags are the flags of a broadcast that travel.
type Flags struct {
	ExpectSingleResponse bool
	Timeout              time.Duration // in whole milliseconds
	Volatile             bool
	Compress             *bool
}

// Options say which sockets a message is for, and how.
type Options struct {
	Rooms  []string // none: the whole namespace
	Except []string
	Flags  Flags
}

// AppendBroadcast appends [uid, packet, opts], the message of a broadcast (docs/adapter-wire.md, 2.2).
func AppendBroadcast(dst []byte, uid, namespace string, p packet.Payload, o Options) ([]byte, error) {
	dst = appendArrayHeader(dst, 3)
	dst = appendString(dst, uid)
	dst, err := appendPacket(dst, namespace, p)
	if err != nil {
		return dst, err
	}
	return appendOptions(dst, o), nil
}

func appendPacket(dst []byte, namespace string, p packet.Payload) ([]byte, error) {
	dst = appendMapHeader(dst, 3)
	dst = append(appendString(dst, "type"), eventType)
	dst, err := AppendPayload(appendString(dst, "data"), p)
	if err != nil {
		return dst, err
	}
	return appendString(appendString(dst, "nsp"), namespace), nil
}

func appendOptions(dst []byte, o Options) []byte {
	dst = appendMapHeader(dst, 3)
	dst = appendRooms(appendString(dst, "rooms"), o.Rooms)
	dst = appendRooms(appendString(dst, "except"), o.Except)
	return appendFlags(appendString(dst, "flags"), o.Flags)
}

func appendFlags(dst []byte, f Flags) []byte {
	header := len(dst)
	dst = appendMapHeader(dst, 0)
	if f.ExpectSingleResponse {
		dst = append(appendString(dst, "expectSingleResponse"), 0xc3)
		dst[header]++
	}
	if f.Timeout > 0 {
		dst = appendUintValue(appendString(dst, "timeout"), uint64(f.Timeout.Milliseconds()))
		dst[header]++
	}
	if f.Volatile {
		dst = append(appendString(dst, "volatile"), 0xc3)
		dst[header]++
	}
	if f.Compress != nil {
		dst = append(appendString(dst, "compress"), 0xc2)
		if *f.Compress {
			dst[len(dst)-1] = 0xc3
		}
		dst[header]++
	}
	return dst
}

// Broadcast is a broadcast as it was found in a message: its parts alias it, and nothing is decoded yet.
type Broadcast struct {
	UID       []byte
	Namespace []byte // "/" when the packet names none
	Rooms     RoomList
	Except    RoomList
	data      []byte
	flags     []byte
}

// Sender reads the sender's uid from the first bytes of a broadcast; it is nil where there is none.
func Sender(msg []byte) []byte {
	r := reader{b: msg}
	if _, err := r.open(kindArray); err != nil {
		return nil
	}
	uid, err := r.str()
	if err != nil {
		return nil
	}
	return uid
}

// ParseBroadcast finds the parts of a broadcast without allocating. Whatever it accepts, Broadcast's methods can read
// but for the content of the arguments, which Payload checks.
func ParseBroadcast(msg []byte) (b Broadcast, err error) {
	r := reader{b: msg}
	if n, err := r.open(kindArray); err != nil || n < 3 {
		return b, ErrMalformed
	}
	if b.UID, err = r.str(); err != nil {
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
	n, err := r.open(kindMap)
	if err != nil {
		return err
	}
	b.Namespace = mainNamespace
	for range n {
		key, err := r.str()
		if err != nil {
			return err
		}
		switch string(key) {
		case "type":
			if v, err := r.next(); err != nil || v.kind != kindUint || v.num != eventType && v.num != binaryEventType {
				return ErrMalformed
			}
		case "data":
			if b.data, err = r.raw(); err != nil {
				return err
			}
		case "nsp":
			if b.Namespace, err = r.str(); err != nil {
				return err
			}
		default:
			if err := r.skip(); err != nil {
				return err
			}
		}
	}
	return checkEvent(b.data)
}

// checkEvent wants an array that begins with an event's name, as text or as a number.
func checkEvent(data []byte) error {
	r := reader{b: data}
	if n, err := r.open(kindArray); err != nil || n == 0 {
		return ErrMalformed
	}
	if _, ok := r.short(); ok {
		return nil
	}
	if v, err := r.next(); err != nil || v.kind != kindString && v.kind != kindUint && v.kind != kindInt {
		return ErrMalformed
	}
	return nil
}

func (b *Broadcast) parseOptions(r *reader) error {
	n, err := r.open(kindMap)
	if err != nil {
		return err
	}
	for range n {
		key, err := r.str()
		if err != nil {
			return err
		}
		switch string(key) {
		case "rooms":
			b.Rooms, err = parseRoomList(r)
		case "except":
			b.Except, err = parseRoomList(r)
		case "flags":
			b.flags, err = r.raw()
		default:
			err = r.skip()
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

// Flags reads the flags that are known here; others, and values that make no sense, are passed over.
func (b *Broadcast) Flags() Flags { return parseFlags(b.flags) }

func parseFlags(msg []byte) (f Flags) {
	r := reader{b: msg}
	n, err := r.open(kindMap)
	for ; err == nil && n > 0; n-- {
		var key []byte
		var v value
		if key, err = r.str(); err != nil {
			break
		}
		at := r.i
		if v, err = r.next(); err != nil {
			break
		}
		truth := v.kind == kindBool && v.num != 0
		switch string(key) {
		case "volatile":
			f.Volatile = truth
		case "expectSingleResponse":
			f.ExpectSingleResponse = truth
		case "compress":
			if v.kind == kindBool {
				f.Compress = &truth
			}
		case "timeout":
			f.Timeout = milliseconds(v)
		}
		r.i = at
		err = r.skip()
	}
	return f
}

// maxTimeout is what a JavaScript timer can wait.
const maxTimeout = math.MaxInt32

func milliseconds(v value) time.Duration {
	switch {
	case v.kind == kindUint:
		return time.Duration(min(v.num, maxTimeout)) * time.Millisecond
	case v.kind == kindFloat:
		if f := math.Float64frombits(v.num); f > 0 {
			return time.Duration(min(f, maxTimeout)) * time.Millisecond
		}
	}
	return 0
}
