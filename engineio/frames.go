package engineio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf8"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// WebSocket opcodes and header bits (RFC 6455, 5.2).
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	finBit   = 0x80
	rsv1Bit  = 0x40 // permessage-deflate: the message is compressed
	rsvBits  = 0x70
	opMask   = 0x0f
	maskBit  = 0x80
	maxOpLen = 125 // payload of a control frame
)

// WebSocket close codes (RFC 6455, 7.4.1).
const (
	codeProtocolError = 1002
	codeInvalidData   = 1007
	codeTooBig        = 1009
)

// frameError is a breach of the WebSocket protocol, with the close code for it.
type frameError struct {
	code uint16
	text string
}

func (e *frameError) Error() string { return "engineio: websocket: " + e.text }

var (
	errNotMasked    = &frameError{codeProtocolError, "frame is not masked"}
	errReservedBits = &frameError{codeProtocolError, "reserved bits are set"}
	errOpcode       = &frameError{codeProtocolError, "unknown opcode"}
	errControl      = &frameError{codeProtocolError, "control frame is fragmented or too long"}
	errFragments    = &frameError{codeProtocolError, "fragments out of order"}
	errLength       = &frameError{codeProtocolError, "malformed length"}
	errCloseFrame   = &frameError{codeProtocolError, "malformed close frame"}
	errTooBig       = &frameError{codeTooBig, "message too big"}
	errUTF8         = &frameError{codeInvalidData, "text is not UTF-8"}
	errDeflate      = &frameError{codeInvalidData, "compressed data is malformed"}
)

// errStop is the error of a frameSink that takes no more.
var errStop = errors.New("engineio: websocket: no more input wanted")

// frameSink takes messages and control frames from a parser. An error ends the parsing, and feed
// returns it.
type frameSink interface {
	// message takes one whole message, unmasked, inflated and, if text, valid UTF-8. Text is only
	// valid during the call; binary data is given away.
	message(op byte, data []byte) error
	// control takes one control frame, unmasked. data is only valid during the call.
	control(op byte, data []byte) error
}

// parser reads a client's WebSocket frames from whatever pieces they arrive in. It owns no
// goroutine and no reader, so that anything can drive it, and keeps a buffer only while a message
// has arrived in part. A buffer grows with what arrives, not by what a header announces.
type parser struct {
	limit int64 // bytes in a message, inflated

	msg  []byte // the message so far; borrowed, unless it is given away
	ctl  []byte // borrowed: the control frame so far
	left int64  // payload bytes of the frame still to come
	mask uint32 // the masking key, turned so that its first byte is for the next payload byte

	head     [14]byte // the header so far
	headLen  uint8
	inFrame  bool
	fin      bool
	op       byte // of the frame
	msgOp    byte // of the message under way; 0: none
	deflate  bool // permessage-deflate was negotiated
	deflated bool // the message under way
	whole    bool // the message under way is one frame
}

// feed takes the next bytes of the connection and unmasks them in place. It must not be called
// after an error.
func (p *parser) feed(b []byte, sink frameSink) error {
	for {
		if !p.inFrame {
			if len(b) == 0 {
				return nil
			}
			n, err := p.header(b)
			if err != nil {
				return err
			}
			b = b[n:]
			if !p.inFrame {
				return nil // all of b was part of a header
			}
		}
		part := b
		if int64(len(part)) > p.left {
			part = part[:p.left]
		}
		b = b[len(part):]
		p.mask = unmask(part, p.mask)
		if p.left -= int64(len(part)); p.left > 0 {
			p.keep(part)
			return nil
		}
		p.inFrame = false
		if err := p.frame(part, sink); err != nil {
			return err
		}
	}
}

// header takes a frame's header from b, or what b has of it, and returns how many bytes that were.
func (p *parser) header(b []byte) (n int, err error) {
	h := b
	if p.headLen > 0 || len(b) < len(p.head) {
		n = copy(p.head[p.headLen:], b)
		h = p.head[:int(p.headLen)+n]
	}
	size := 2
	if len(h) >= 2 {
		size = headerSize(h[1])
	}
	if len(h) < size {
		if err := p.check(h); err != nil { // a bad start is refused before the rest arrives
			return 0, err
		}
		p.headLen = uint8(len(h))
		return len(b), nil
	}
	if err := p.check(h[:size]); err != nil {
		return 0, err
	}
	length := int64(h[1] &^ maskBit)
	switch length {
	case 126:
		length = int64(binary.BigEndian.Uint16(h[2:]))
	case 127:
		u := binary.BigEndian.Uint64(h[2:])
		if u>>63 != 0 {
			return 0, errLength
		}
		length = int64(u)
	}
	if p.op&0x8 == 0 && length > p.limit-int64(len(p.msg)) {
		return 0, errTooBig
	}
	p.left, p.mask, p.inFrame = length, binary.LittleEndian.Uint32(h[size-4:]), true
	n = size - int(p.headLen)
	p.headLen = 0
	return n, nil
}

// headerSize is the size of a masked frame's header by its second byte.
func headerSize(second byte) int {
	switch second &^ maskBit {
	case 127:
		return 2 + 8 + 4
	case 126:
		return 2 + 2 + 4
	}
	return 2 + 4
}

// check checks the first one or two bytes of a header and stores their values.
func (p *parser) check(h []byte) error {
	op := h[0] & opMask
	control := op&0x8 != 0
	switch {
	case op > opBinary && op < opClose || op > opPong:
		return errOpcode
	case control && h[0]&finBit == 0:
		return errControl
	case h[0]&rsvBits != 0 && (h[0]&rsvBits != rsv1Bit || !p.deflate || control || op == opContinuation):
		return errReservedBits
	case !control && (op == opContinuation) != (p.msgOp != 0):
		return errFragments
	case len(h) < 2:
		return nil
	case h[1]&maskBit == 0:
		return errNotMasked
	case control && h[1]&^maskBit > maxOpLen:
		return errControl
	case len(h) < headerSize(h[1]):
		return nil
	}
	p.op, p.fin = op, h[0]&finBit != 0
	if op == opText || op == opBinary {
		p.msgOp, p.deflated, p.whole = op, h[0]&rsv1Bit != 0, p.fin
	}
	return nil
}

// keep keeps a part of a frame of which p.left bytes are still to come. A buffer that is too small
// at least doubles, or is the last one: in however many pieces a message comes, all its copies
// together are at most three times its size.
func (p *parser) keep(part []byte) {
	switch {
	case len(part) == 0:
	case p.op&0x8 != 0:
		p.ctl = append(bufpool.Grow(p.ctl, len(part)), part...)
	case p.givesAway():
		if have := len(p.msg) + len(part); have > cap(p.msg) {
			p.msg = append(make([]byte, 0, have+int(min(p.left, int64(have)))), p.msg...)
		}
		p.msg = append(p.msg, part...)
	default:
		p.msg = append(bufpool.Grow(p.msg, len(part)), part...)
	}
}

// givesAway reports whether the buffer of the message under way will be the sink's. A buffer of
// fragments isn't, since nothing says how many follow: the sink gets a copy that holds no more than
// the message.
func (p *parser) givesAway() bool { return p.msgOp == opBinary && !p.deflated && p.whole }

// frame handles a frame whose last part has come.
func (p *parser) frame(part []byte, sink frameSink) error {
	if p.op&0x8 != 0 {
		if p.ctl == nil {
			return sink.control(p.op, part)
		}
		p.keep(part)
		ctl := p.ctl
		p.ctl = nil
		defer bufpool.Put(ctl)
		return sink.control(p.op, ctl)
	}
	if !p.fin {
		p.keep(part)
		return nil
	}
	data, given := part, false
	if p.msg != nil {
		p.keep(part)
		data = p.msg
		if given = p.givesAway(); given {
			p.msg = nil
		}
		defer p.dropMessage()
	}
	op := p.msgOp
	p.msgOp = 0
	if p.deflated {
		inflated, err := inflate(data, p.limit)
		if err != nil {
			return err
		}
		defer bufpool.Put(inflated)
		data = inflated
	}
	switch {
	case op == opText && !utf8.Valid(data):
		return errUTF8
	case op == opBinary && !given:
		data = bytes.Clone(data)
	}
	return sink.message(op, data)
}

// dropMessage ends the present message and returns its buffer.
func (p *parser) dropMessage() {
	if !p.givesAway() {
		bufpool.Put(p.msg)
	}
	p.msg = nil
}

// release returns the buffers. The parser must not be used afterwards.
func (p *parser) release() {
	p.dropMessage()
	bufpool.Put(p.ctl)
	p.ctl = nil
}

// unmask applies a masking key to b, and returns the key for the byte after b.
func unmask(b []byte, key uint32) uint32 {
	k := uint64(key) | uint64(key)<<32
	for len(b) >= 32 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^k)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^k)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^k)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^k)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key)
		key = key>>8 | key<<24
	}
	return key
}

// checkClose checks a close frame's payload: it is empty, or has a permitted code and a reason in
// UTF-8.
func checkClose(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	if len(data) == 1 {
		return errCloseFrame
	}
	switch code := binary.BigEndian.Uint16(data); {
	case code >= 3000 && code <= 4999:
	case code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006:
	default:
		return errCloseFrame
	}
	if !utf8.Valid(data[2:]) {
		return errUTF8
	}
	return nil
}
