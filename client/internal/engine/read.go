package engine

import (
	"net"

	"github.com/gobwas/ws"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// blockSize is the size of a WebSocket's read, in bytes.
const blockSize = 16 << 10

// raw reads a descriptor without a buffer while it waits, and writes to it without waiting.
type raw interface {
	ReadBorrowed(size int) ([]byte, error)
	WriteNow(p []byte) (int, error)
}

// socket is one WebSocket. Its reading side belongs to one goroutine at a time; writing is up to
// the owner's lock.
type socket struct {
	conn      net.Conn
	raw       raw // nil if only the connection's own methods work
	max       int // bytes of one message
	deflate   bool
	threshold int

	lent    bool   // buf is from bufpool
	buf     []byte // a block, or a larger slice for a larger message; nil while there is nothing to read
	r, w    int    // buf[r:w] is received and not yet handed out
	message []byte // the fragments so far of a message that comes in several
	op      ws.OpCode
	packed  bool // the message in fragments is compressed
	first   [32]byte
}

func newSocket(conn net.Conn, cfg *Config) *socket {
	r, ok := conn.(raw) // a connection within the process may read and write like this by itself
	if !ok {
		r = newRaw(conn)
	}
	return &socket{conn: conn, raw: r, max: cfg.MaxMessage, threshold: cfg.DeflateThreshold}
}

// abort cuts the connection. The reader sees it at once.
func (s *socket) abort() { s.conn.Close() }

// unread puts bytes in front of all that will be read. Nothing may have been read before.
func (s *socket) unread(b []byte) {
	s.buf = append([]byte(nil), b...)
	s.w = len(b)
}

// next returns the next message or control frame. The data is valid until the next call.
func (s *socket) next() (ws.OpCode, []byte, error) {
	for {
		h, data, err := s.frame()
		if err != nil {
			return 0, nil, err
		}
		switch {
		case h.op.IsControl():
			return h.op, data, nil
		case h.compressed && !s.deflate, (h.op == ws.OpContinuation) != (s.op != 0), h.op == ws.OpContinuation && h.compressed:
			return 0, nil, ErrProtocol
		case h.op != ws.OpContinuation:
			s.op, s.packed = h.op, h.compressed
		}
		if !h.fin || h.op == ws.OpContinuation {
			if len(s.message)+len(data) > s.max {
				return 0, nil, ErrTooLarge
			}
			s.message = append(s.message, data...)
			if !h.fin {
				continue
			}
			data, s.message = s.message, nil
		}
		op := s.op
		s.op = 0
		if s.packed {
			data, err = inflate(data, s.max)
		}
		return op, data, err
	}
}

// frame returns the next frame, whose data is valid until the next call.
func (s *socket) frame() (header, []byte, error) {
	for {
		h, err := parseHeader(s.buf[s.r:s.w])
		if err != nil {
			return h, nil, err
		}
		if h.op > ws.OpBinary && h.op < ws.OpClose || h.op > ws.OpPong {
			return h, nil, ErrProtocol
		}
		if h.length > uint64(s.max) {
			return h, nil, ErrTooLarge
		}
		end := maxHeader
		if h.size > 0 {
			if end = h.size + int(h.length); end <= s.w-s.r {
				data := s.buf[s.r+h.size : s.r+end]
				s.r += end
				return h, data, nil
			}
		}
		if err := s.fill(end); err != nil {
			return h, nil, err
		}
	}
}

// fill reads more, towards n bytes of which those in buf are the first. While nothing is buffered
// it holds no memory to read into.
func (s *socket) fill(n int) error {
	if s.r == s.w {
		return s.await()
	}
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	if s.w == len(s.buf) { // grow as bytes arrive, not as the server announces
		grown := make([]byte, min(max(n, blockSize), max(2*len(s.buf), blockSize)))
		copy(grown, s.buf)
		w := s.w
		s.release()
		s.buf, s.w = grown, w
	}
	got, err := s.conn.Read(s.buf[s.w:])
	s.w += got
	if got > 0 {
		return nil
	}
	return err
}

// await waits for bytes if none are buffered, and borrows a block for them when they are there.
func (s *socket) await() error {
	if s.r < s.w {
		return nil
	}
	s.release()
	if s.raw != nil {
		block, err := s.raw.ReadBorrowed(blockSize)
		if err == nil {
			s.lent, s.buf, s.w = true, block[:cap(block)], len(block)
		}
		return err
	}
	n, err := s.conn.Read(s.first[:])
	if n > 0 {
		s.lent, s.buf = true, bufpool.Get(blockSize)[:blockSize]
		s.w = copy(s.buf, s.first[:n])
		return nil
	}
	return err
}

// release gives the block back.
func (s *socket) release() {
	if s.lent {
		bufpool.Put(s.buf)
	}
	s.lent, s.buf, s.r, s.w = false, nil, 0, 0
}
