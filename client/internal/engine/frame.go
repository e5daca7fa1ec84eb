package engine

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/gobwas/ws"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// maxHeader is the longest frame header, in bytes: two, eight of length, four of mask.
const maxHeader = 14

// header is the beginning of a frame from the server (RFC 6455, 5.2).
type header struct {
	op         ws.OpCode
	fin        bool
	compressed bool // RSV1
	size       int  // of the header, in bytes
	length     uint64
}

// parseHeader reads a frame header; size 0: b is too short. Servers may not mask.
func parseHeader(b []byte) (header, error) {
	if len(b) < 2 {
		return header{}, nil
	}
	h := header{op: ws.OpCode(b[0] & 0x0f), fin: b[0]&0x80 != 0, compressed: b[0]&0x40 != 0}
	if b[0]&0x30 != 0 || b[1]&0x80 != 0 {
		return header{}, ErrProtocol
	}
	switch n := b[1]; {
	case n < 126:
		h.size, h.length = 2, uint64(n)
	case n == 126 && len(b) >= 4:
		h.size, h.length = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case n == 127 && len(b) >= 10:
		h.size, h.length = 10, binary.BigEndian.Uint64(b[2:])
	}
	if h.op.IsControl() && (!h.fin || h.compressed || b[1]&0x7f > ws.MaxControlFramePayloadSize) {
		return header{}, ErrProtocol
	}
	return h, nil
}

// appendFrame appends a whole message, or a control frame, as one masked frame. The payload is
// given in parts.
func appendFrame(dst []byte, op ws.OpCode, compressed bool, payload ...[]byte) []byte {
	n := 0
	for _, p := range payload {
		n += len(p)
	}
	b0 := 0x80 | byte(op)
	if compressed {
		b0 |= 0x40
	}
	switch {
	case n < 126:
		dst = append(dst, b0, 0x80|byte(n))
	case n <= 0xffff:
		dst = append(dst, b0, 0x80|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, b0, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	var mask [4]byte
	binary.LittleEndian.PutUint32(mask[:], rand.Uint32())
	dst = append(dst, mask[:]...)
	from := len(dst)
	for _, p := range payload {
		dst = append(dst, p...)
	}
	ws.Cipher(dst[from:], mask, 0)
	return dst
}

// appendPacket appends a packet as a frame, compressed if that was agreed and it is long enough.
func (s *socket) appendPacket(dst []byte, p packet.Packet) []byte {
	op, kind := ws.OpText, digits[p.Type:p.Type+1]
	if p.Binary {
		op, kind = ws.OpBinary, nil
	}
	if s.deflate && len(p.Data) >= s.threshold {
		return deflated(func(small []byte) []byte { return appendFrame(dst, op, true, small) }, kind, p.Data)
	}
	return appendFrame(dst, op, false, kind, p.Data)
}

// digits are the text forms of the packet types.
var digits = []byte("0123456")

// appendClose appends a close frame that says "normal closure".
func (s *socket) appendClose(dst []byte) []byte {
	return appendFrame(dst, ws.OpClose, false, []byte{byte(ws.StatusNormalClosure >> 8), byte(ws.StatusNormalClosure & 0xff)})
}
