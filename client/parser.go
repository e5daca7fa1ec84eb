package client

import (
	"github.com/sidereal-io/sidereal/client/internal/engine"
	eio "github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// plain returns h without the binary types, which only the protocol's own form has.
func plain(h packet.Header) packet.Header {
	switch h.Attachments = 0; h.Type {
	case packet.BinaryEvent:
		h.Type = packet.Event
	case packet.BinaryAck:
		h.Type = packet.Ack
	}
	return h
}

// sendOwn sends a packet in the form of a parser. Its messages leave contiguously.
func sendOwn(conn *engine.Conn, parser packet.Parser, p packet.Packet) error {
	var ps []eio.Packet
	for _, m := range parser.Encode(p) {
		ps = append(ps, eio.Packet{Type: eio.Message, Binary: m.Binary, Data: m.Data})
	}
	return send(conn, ps...)
}

// decode reads one message in the form of a parser.
func (l *link) decode(data []byte, binary bool) error {
	p, whole, err := l.decoder.Decode(data, binary)
	if err != nil || !whole {
		return err
	}
	if p.Type != packet.Event && p.Type != packet.Ack {
		return l.control(p.Header, p.Payload.JSON)
	}
	if len(p.Payload.Attachments) > l.client.set.MaxAttachments {
		return errAttachments
	}
	if err := l.parse(p.Header, p.Payload.JSON, len(p.Payload.Attachments)); err != nil {
		return err
	}
	l.size = len(data)
	l.args = l.args.With(p.Payload.Attachments)
	return l.dispatch()
}
