package socketio

import (
	"sync"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// scratch pools the texts of packets until engineio has copied them into frames.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// maxScratch is the largest buffer that goes back to the pool.
const maxScratch = 64 << 10

func putScratch(p *[]byte, b []byte) {
	if cap(b) <= maxScratch {
		*p = b[:0]
		scratch.Put(p)
	}
}

// encode returns the messages of a packet: its text, then its attachments. An Event or Ack with
// attachments gets its binary type. The values are those of an Ack if h says so.
func (s *Server) encode(h packet.Header, name string, values []any) ([]*engineio.Message, error) {
	pooled := scratch.Get().(*[]byte)
	text := packet.Append(*pooled, h, nil)
	body := len(text)
	var attachments [][]byte
	var err error
	if h.Type == packet.Ack {
		text, attachments, err = packet.AppendArgs(text, nil, values...)
	} else {
		text, attachments, err = packet.AppendEvent(text, nil, name, values...)
	}
	if err != nil {
		return nil, err
	}
	var ms []*engineio.Message
	if len(attachments) == 0 && s.cfg.Parser == nil {
		ms = []*engineio.Message{engineio.NewText(text)}
	} else {
		ms = s.encodePayload(h, packet.Payload{JSON: text[body:], Attachments: attachments})
	}
	putScratch(pooled, text)
	return ms, nil
}

// encodePayload returns the messages of a packet whose content is in wire form.
func (s *Server) encodePayload(h packet.Header, p packet.Payload) []*engineio.Message {
	if s.cfg.Parser != nil {
		return encodeOwn(s.cfg.Parser, packet.Packet{Header: h, Payload: p})
	}
	if h.Attachments = len(p.Attachments); h.Attachments > 0 {
		switch h.Type {
		case packet.Event:
			h.Type = packet.BinaryEvent
		case packet.Ack:
			h.Type = packet.BinaryAck
		}
	}
	pooled := scratch.Get().(*[]byte)
	text := packet.Append(*pooled, h, p.JSON)
	ms := make([]*engineio.Message, 1, 1+len(p.Attachments))
	ms[0] = engineio.NewText(text)
	putScratch(pooled, text)
	for _, b := range p.Attachments {
		ms = append(ms, engineio.NewBinary(b))
	}
	return ms
}

// uncompressed keeps transports from compressing messages that weren't sent yet.
func uncompressed(ms []*engineio.Message) {
	for _, m := range ms {
		m.Compress(false)
	}
}
