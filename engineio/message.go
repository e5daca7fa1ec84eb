package engineio

import (
	"encoding/base64"
	"encoding/binary"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// Message is one Engine.IO message. It is encoded once, however many sessions get it. Several
// goroutines may send it at once; it must not change after the first send.
type Message struct {
	frame   []byte // the WebSocket frame; the text form of a packet that is not binary is frame[head:]
	head    uint8  // length of the frame's header
	binary  bool
	plain   bool // not to be compressed
	control bool // a WebSocket control frame or an HTTP head: goes out as it is

	base64   atomic.Pointer[[]byte] // "b" and base64, of a binary message
	deflated atomic.Pointer[[]byte] // the frame with a deflated payload
}

// NewText makes a text message of a copy of s, which should be valid UTF-8: clients close the
// connection otherwise.
func NewText(s []byte) *Message { return newPacket(packet.Message, s) }

// NewBinary makes a binary message of a copy of b.
func NewBinary(b []byte) *Message {
	var head [maxServerHeader]byte
	h := appendFrameHeader(head[:0], opBinary, len(b))
	return &Message{head: uint8(len(h)), frame: append(h[:len(h):len(h)], b...), binary: true} // one that clears no memory first
}

// Compress says whether transports may compress m. They may by default. It returns m, and must be
// called before m is sent.
func (m *Message) Compress(on bool) *Message {
	m.plain = !on
	return m
}

// Len returns the number of bytes of m, as the payload of a WebSocket frame.
func (m *Message) Len() int { return len(m.frame) - int(m.head) }

func newPacket(t packet.Type, data []byte) *Message {
	f := appendFrameHeader(make([]byte, 0, maxServerHeader+1+len(data)), opText, 1+len(data))
	head := uint8(len(f))
	return &Message{head: head, frame: append(append(f, '0'+byte(t)), data...)}
}

// newRaw makes a message of bytes that go into a WebSocket's stream unchanged.
func newRaw(b []byte) *Message { return &Message{frame: b, control: true, plain: true} }

func newControl(op byte, payload []byte) *Message {
	return newRaw(append([]byte{op | finBit, byte(len(payload))}, payload...))
}

// The packets without data are the same for all sessions.
var (
	closePacket = newPacket(packet.Close, nil)
	pingPacket  = newPacket(packet.Ping, nil)
	noopPacket  = newPacket(packet.Noop, nil)
	probePong   = newPacket(packet.Pong, []byte("probe"))
)

// appendText appends m in its form in a payload.
func (m *Message) appendText(dst []byte) []byte {
	if !m.binary {
		return append(dst, m.frame[m.head:]...)
	}
	text := m.base64.Load()
	if text == nil {
		b := base64.StdEncoding.AppendEncode([]byte{'b'}, m.frame[m.head:])
		text = &b
		m.base64.CompareAndSwap(nil, text)
	}
	return append(dst, *text...)
}

// wire returns m as a WebSocket frame, compressed from threshold bytes on, or never if that is
// below 0.
func (m *Message) wire(threshold int) []byte {
	if threshold < 0 || m.plain || m.Len() < threshold {
		return m.frame
	}
	f := m.deflated.Load()
	if f == nil {
		b := deflateFrame(m.frame[0]&opMask, m.frame[m.head:])
		f = &b
		m.deflated.CompareAndSwap(nil, f)
	}
	return *f
}

const maxServerHeader = 10 // unmasked

func appendFrameHeader(dst []byte, op byte, n int) []byte {
	switch dst = append(dst, op|finBit); {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
}

// textLen returns the number of bytes that appendText appends.
func (m *Message) textLen() int {
	if !m.binary {
		return m.Len()
	}
	return 1 + base64.StdEncoding.EncodedLen(m.Len())
}
