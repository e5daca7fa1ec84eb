package socketio

import (
	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Parser writes and reads packets in a form of its own, as the option "parser" of Node's servers and clients does. It is
// called concurrently. Package msgpack has one.
type Parser interface {
	// Encode makes the Engine.IO messages of a packet, in their order. The payload is well-formed and must not be changed
	// or kept.
	Encode(p Packet) []*engineio.Message
	// NewDecoder makes what reads the messages of one connection.
	NewDecoder() Decoder
}

// Decoder reads the messages of one connection, one after the other. It bounds what it keeps.
type Decoder interface {
	// Decode takes a message. It reports whether that made a packet whole, which it then returns; an error closes the
	// connection. data is only valid during the call, which must not block.
	Decode(data []byte, binary bool) (p Packet, whole bool, err error)
}

// Packet is a packet on its way through a Parser. Its type is never BinaryEvent or BinaryAck, and Attachments of the
// header has no meaning: the payload has the binary parts.
type Packet struct {
	packet.Header
	// Payload is the array of an event or an answer, and the object of a CONNECT or CONNECT_ERROR. Without one its JSON
	// is nil.
	Payload Payload
}

// decode takes a message for a parser of the app's.
func (c *client) decode(data []byte, binary bool) error {
	p, whole, err := c.decoder.Decode(data, binary)
	if err != nil || !whole {
		return err
	}
	h, body := p.Header, p.Payload.JSON
	c.server.cfg.Trace.received(c.session, h, len(data))
	var name []byte
	var args Args
	switch h.Type {
	case packet.Event:
		name, args, err = packet.ParseEvent(body, len(p.Payload.Attachments))
	case packet.Ack:
		args, err = packet.ParseArgs(body, len(p.Payload.Attachments))
	default:
		return c.control(h, body)
	}
	if err != nil {
		return err
	}
	return c.received(h, name, args.With(p.Payload.Attachments), len(data))
}
