package msgpack

import (
	"math"

	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

const (
	// maxAttachments bounds the binary parts of a packet: each costs 35 bytes of JSON for two of a
	// message.
	maxAttachments = 1 << 12
	// maxDepth bounds how deep arrays and maps are nested.
	maxDepth = packet.MaxDepth
)

// readPacket reads a whole packet: {type, nsp, data, id}, and members that mean nothing to a
// server.
func readPacket(data []byte) (p packet.Packet, err error) {
	r := msgpack.Reader{B: data}
	head, err := r.Next()
	if err != nil || head.Kind != msgpack.Map {
		return p, ErrMalformed
	}
	kind, named := int64(-1), false
	p.ID = packet.NoID
	for range head.Count {
		name, err := r.String()
		if err != nil {
			return p, ErrMalformed
		}
		switch string(name) {
		case "type":
			kind, err = integer(&r)
		case "nsp":
			var text []byte
			text, err = r.String()
			p.Namespace, named = string(text), true
		case "id":
			p.ID, err = id(&r)
		case "data":
			p.Payload, err = payload(&r)
		default:
			err = r.Skip()
		}
		if err != nil {
			return p, ErrMalformed
		}
	}
	if r.I < len(data) || !named || kind < int64(packet.Connect) || kind > int64(packet.ConnectError) {
		return p, ErrMalformed
	}
	p.Type = packet.Type(kind)
	if string(p.Payload.JSON) == "null" && (p.Type == packet.Connect || p.Type == packet.Disconnect) {
		p.Payload = packet.Payload{} // undefined, as some clients write it
	}
	return p, nil
}

// integer reads a number that is not negative.
func integer(r *msgpack.Reader) (int64, error) {
	v, err := r.Next()
	switch {
	case err != nil:
	case v.Kind == msgpack.Uint && v.Num <= math.MaxInt64:
		return int64(v.Num), nil
	case v.Kind == msgpack.Float:
		if f := math.Float64frombits(v.Num); f >= 0 && f <= 1<<53 && f == math.Trunc(f) {
			return int64(f), nil
		}
	}
	return 0, ErrMalformed
}

// id reads an acknowledgement id; nil and undefined are none.
func id(r *msgpack.Reader) (int64, error) {
	from := *r
	if v, err := r.Next(); err == nil && (v.Kind == msgpack.Nil || v.Kind == msgpack.Ext && v.Fixed) {
		return packet.NoID, nil
	}
	*r = from
	return integer(r)
}

// payload reads a packet's data. Binary parts are copied: the message is only there during the call
// of Decode.
func payload(r *msgpack.Reader) (p packet.Payload, err error) {
	w := msgpack.JSON{Reader: *r, MaxAttachments: maxAttachments, MaxDepth: maxDepth}
	if err := w.Value(); err != nil {
		return p, err
	}
	*r = w.Reader
	for i, b := range w.Attachments {
		w.Attachments[i] = append(make([]byte, 0, len(b)), b...)
	}
	return packet.Payload{JSON: w.Out, Attachments: w.Attachments}, nil
}
