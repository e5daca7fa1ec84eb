package netio

import (
	"io"
	"net"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

const (
	// smallBuffer is the size of the first buffer for anything, in bytes.
	smallBuffer = 4 << 10
	// largeBuffer is the size of buffers for bodies that fill a small one.
	largeBuffer = 64 << 10
)

// Stream is a connection with a buffer for what was read from it. It borrows the buffer when the
// kernel has bytes, so a stream that waits holds none. One goroutine at a time may use a Stream,
// but deadlines of Conn may be set, and Conn may be closed, from any goroutine.
type Stream struct {
	// Conn is the connection that Init was given.
	Conn net.Conn

	timeout time.Duration // of Write
	raw     Raw
	direct  bool   // raw is open; if not (TLS), a buffer is held while waiting
	buf     []byte // borrowed; nil while there is nothing in it
	r, w    int    // buf[r:w] was read and not yet discarded
	peeked  int    // bytes at the end of buf[r:w] that are also still in the kernel
	want    int    // size of the next buffer
	till    time.Time
	written int64
}

// Init makes s a stream of conn with nothing buffered. Write fails if the peer takes nothing for
// writeTimeout, or at the latest for twice as long. Zero: Write waits.
func (s *Stream) Init(conn net.Conn, writeTimeout time.Duration) {
	*s = Stream{Conn: conn, timeout: writeTimeout, want: smallBuffer}
	s.direct = s.raw.Open(conn)
}

// SyscallConn returns the descriptor that the stream reads. It is nil if the stream reads Conn
// instead.
func (s *Stream) SyscallConn() syscall.RawConn {
	if !s.direct {
		return nil
	}
	return s.raw.SyscallConn()
}

// Preload puts p, a buffer borrowed from bufpool, before everything that is still to be read. The
// stream must be empty, and owns the buffer from now on.
func (s *Stream) Preload(p []byte) {
	s.buf, s.r, s.w = p[:cap(p)], 0, len(p)
}

// Bytes returns what was read and not discarded. It is valid until the next call of another method.
func (s *Stream) Bytes() []byte { return s.buf[s.r:s.w] }

// Discard drops the first n bytes.
func (s *Stream) Discard(n int) { s.r += n }

// Release gives an empty buffer back.
func (s *Stream) Release() {
	if s.buf != nil && s.r == s.w {
		bufpool.Put(s.buf)
		s.buf, s.r, s.w = nil, 0, 0
	}
}

// Drop discards everything and gives the buffer back. Bytes that Peek left in the kernel stay
// there.
func (s *Stream) Drop() {
	s.r, s.peeked = s.w, 0
	s.Release()
}

// Expect chooses the size of later buffers by the number of bytes to come; -1: unknown.
func (s *Stream) Expect(bytes int64) {
	if s.want = smallBuffer; bytes < 0 || bytes > smallBuffer {
		s.want = largeBuffer
	}
}

// Fill waits for bytes and appends at least one.
func (s *Stream) Fill() error {
	if s.direct {
		return s.fill()
	}
	s.makeRoom(1)
	n, err := s.Conn.Read(s.buf[s.w:])
	if s.w += n; n > 0 {
		return nil
	}
	s.Release()
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// fill is Fill from the descriptor.
func (s *Stream) fill() error {
	if s.r == s.w {
		s.Release()
		p, err := s.raw.ReadBorrowed(s.want)
		if len(p) > 0 {
			s.Preload(p)
		}
		return err
	}
	s.makeRoom(1)
	n, err := s.raw.Read(s.buf[s.w:])
	s.w += n
	return err
}

// FillNow appends what is there already, up to size bytes or more. It doesn't wait, and returns
// false if there was nothing.
func (s *Stream) FillNow(size int) bool {
	s.makeRoom(size)
	n := s.raw.ReadNow(s.buf[s.w:])
	s.w += n
	return n > 0
}

// Peek is Fill that leaves the bytes in the kernel, so that another process can read them. Take or
// Drop comes next; until then only Bytes may be called. Conn must have a descriptor.
func (s *Stream) Peek() error {
	s.raw.looks = true
	before := s.w - s.r
	err := s.fill()
	s.raw.looks = false
	if err == nil {
		s.peeked = s.w - s.r - before
	}
	return err
}

// Peeked reports whether Peek left bytes in the kernel that were not taken.
func (s *Stream) Peeked() bool { return s.peeked > 0 }

// Take takes the bytes from the kernel that Peek left there.
func (s *Stream) Take() {
	for at := s.w - s.peeked; at < s.w; {
		n := s.raw.ReadNow(s.buf[at:s.w])
		if n == 0 {
			break // impossible: they are there
		}
		at += n
	}
	s.peeked = 0
}

// Exchange writes p and waits for the first bytes of the answer. It writes when the poller is armed
// already, so the answer can't be missed. This saves the read that would only find that nothing is
// there yet. It returns the number of bytes written.
func (s *Stream) Exchange(p []byte) (written int, err error) {
	if !s.direct || len(p) == 0 {
		if written, err = s.Write(p); err != nil {
			return written, err
		}
		return written, s.Fill()
	}
	s.raw.first, s.raw.sent, s.raw.broken = p, 0, false
	err = s.fill()
	whole, sent := s.raw.first == nil, s.raw.sent
	s.raw.first, s.raw.broken = nil, false
	if whole {
		s.written += int64(len(p))
		return len(p), err
	}
	s.written += int64(sent)
	if err != nil {
		return sent, err
	}
	n, err := s.Write(p[sent:]) // the kernel took a part
	if err != nil {
		return sent + n, err
	}
	return len(p), s.Fill()
}

// Write writes all of p, unless the write timeout ends it.
func (s *Stream) Write(p []byte) (n int, err error) {
	if s.direct {
		n, _ = s.raw.WriteNow(p) // an error shows again below
	}
	if n < len(p) {
		s.arm()
		var k int
		k, err = s.Conn.Write(p[n:])
		n += k
	}
	s.written += int64(n)
	return n, err
}

// arm sets the write deadline, once for many writes: to set it each time would be dear.
func (s *Stream) arm() {
	if s.timeout <= 0 {
		return
	}
	if now := time.Now(); s.till.Sub(now) < s.timeout {
		s.till = now.Add(2 * s.timeout)
		s.Conn.SetWriteDeadline(s.till)
	}
}

// ClearWriteDeadline removes the write deadline after somebody else has set it.
func (s *Stream) ClearWriteDeadline() {
	s.Conn.SetWriteDeadline(time.Time{})
	s.till = time.Time{}
}

// Written returns the number of bytes that Write and Exchange have written.
func (s *Stream) Written() int64 { return s.written }

// makeRoom makes sure that n bytes can be read, in a larger buffer if necessary.
func (s *Stream) makeRoom(n int) {
	switch {
	case s.buf == nil:
		s.Preload(bufpool.Get(max(n, s.want)))
	case len(s.buf)-s.w >= n:
	case len(s.buf)-(s.w-s.r) >= n:
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	default:
		p := bufpool.Get(s.w - s.r + n)
		p = append(p, s.buf[s.r:s.w]...)
		bufpool.Put(s.buf)
		s.Preload(p)
	}
}
