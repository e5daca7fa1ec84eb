//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// The part of RFC 6455 that is used: whole frames, in one direction masked.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9

	compressed = 0x40 // RSV1 of permessage-deflate, beside the opcode
)

var clientMask = []byte{0x5a, 0x17, 0xc3, 0x2e} // not zero, so that no server gets around unmasking

// appendFrame appends a whole frame. The mask has 4 bytes, or is nil for what servers send.
func appendFrame(dst []byte, op byte, mask []byte, payload string) []byte {
	flag := byte(0)
	if mask != nil {
		flag = 0x80
	}
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, flag|byte(n))
	case n < 1<<16:
		dst = append(dst, flag|126, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, flag|127), uint64(n))
	}
	dst = append(dst, mask...)
	at := len(dst)
	dst = append(dst, payload...)
	if mask != nil {
		for i := range dst[at:] {
			dst[at+i] ^= mask[i&3]
		}
	}
	return dst
}

// readFrame reads a server's frame. The payload is valid until the next read; of compressed frames
// it is what was sent, and op has the compressed bit.
func readFrame(r *bufio.Reader, scratch []byte) (op byte, payload, grown []byte, err error) {
	head, err := r.Peek(2)
	if err != nil {
		return 0, nil, scratch, err
	}
	if head[0]&0x80 == 0 || head[1]&0x80 != 0 {
		return 0, nil, scratch, errors.New("a frame in parts, or a masked one")
	}
	op, n, size := head[0]&(compressed|0xf), int(head[1]), 2
	switch n {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if head, err = r.Peek(size); err != nil {
		return 0, nil, scratch, err
	}
	switch n {
	case 126:
		n = int(binary.BigEndian.Uint16(head[2:]))
	case 127:
		n = int(binary.BigEndian.Uint64(head[2:]))
	}
	if _, err := r.Discard(size); err != nil {
		return 0, nil, scratch, err
	}
	if n <= r.Size() {
		payload, err = r.Peek(n)
		if err == nil {
			_, err = r.Discard(n) // the bytes stay until the next read
		}
		return op, payload, scratch, err
	}
	if cap(scratch) < n {
		scratch = make([]byte, n)
	}
	_, err = io.ReadFull(r, scratch[:n])
	return op, scratch[:n], scratch, err
}
