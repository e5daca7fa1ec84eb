package msgpack

import (
	"github.com/sidereal-io/sidereal/internal/msgpack"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// appendPacket appends a packet as {type, data, nsp, id}, without what it has not.
func appendPacket(dst []byte, p packet.Packet) []byte {
	members := 2
	if p.Payload.JSON != nil {
		members++
	}
	if p.ID >= 0 {
		members++
	}
	dst = msgpack.AppendMapHeader(dst, members)
	dst = msgpack.AppendInt(msgpack.AppendString(dst, "type"), int64(p.Type))
	if p.Payload.JSON != nil {
		dst = appendPayload(msgpack.AppendString(dst, "data"), p.Payload)
	}
	dst = msgpack.AppendString(msgpack.AppendString(dst, "nsp"), p.Namespace)
	if p.ID >= 0 {
		dst = msgpack.AppendInt(msgpack.AppendString(dst, "id"), p.ID)
	}
	return dst
}

// appendPayload appends a packet's data. What is nested deeper than a packet may be that comes in
// goes out all the same.
func appendPayload(dst []byte, p packet.Payload) []byte {
	w := msgpack.Text{In: p.JSON, Out: dst, Attachments: p.Attachments}
	w.Space()
	if err := w.Value(); err != nil { // what is encoded is well-formed
		return msgpack.AppendNil(dst)
	}
	return w.Out
}
