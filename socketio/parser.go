package socketio

import (
	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Parser writes and reads packets in another form. Package msgpack has one.
type Parser = packet.Parser

// encodeOwn returns the messages of a packet in the form of the app's parser.
func encodeOwn(parser Parser, p packet.Packet) []*engineio.Message {
	encoded := parser.Encode(p)
	ms := make([]*engineio.Message, len(encoded))
	for i, m := range encoded {
		if m.Binary {
			ms[i] = engineio.NewBinary(m.Data)
		} else {
			ms[i] = engineio.NewText(m.Data)
		}
	}
	return ms
}

// decode takes a message in the form of the app's parser.
func (c *client) decode(data []byte, binary bool) error {
	p, whole, err := c.decoder.Decode(data, binary)
	if err != nil {
		return err
	}
	if !whole {
		if c.partial == nil {
			c.partial = &partial{client: c}
		}
		return c.partial.grow(len(data))
	}
	if !c.completed() {
		return nil
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
