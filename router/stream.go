package router

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio"
)

const (
	smallBuffer = 4 << 10  // first read of anything
	largeBuffer = 64 << 10 // bodies and relays that fill the small one

	// writeTimeout is how long a peer may take nothing of what is written to it, at least; at most twice as long. It takes
	// slow readers for dead, so that what they hold is given back; the kernel's own patience is a quarter of an hour.
	writeTimeout = 45 * time.Second
)

// stream is one side of a forwarded connection. It borrows a buffer only when the kernel has bytes for it, so one that
// waits holds none. One goroutine at a time uses it, but for Close and deadlines of c.
type stream struct {
	c       net.Conn
	raw     syscall.RawConn       // nil where c is not a descriptor (TLS): then a buffer is held while waiting
	read    func(fd uintptr) bool // onReadable, made once
	put     func(fd uintptr)      // writeNow, made once
	buf     []byte                // borrowed, nil while there is nothing in it
	r, w    int                   // buf[r:w] is read and not yet discarded
	want    int                   // size of the next buffer to borrow
	err     error                 // what onReadable met
	out     []byte                // what is to be written once the poller is armed
	sent    int                   // of out
	till    time.Time             // the write deadline that is set
	written int64                 // by write
	next    []byte                // what write is to write
	took    int                   // of next, by the kernel at once
	look    bool                  // leave in the kernel what is read next
	seen    int                   // bytes of buf that are still in the kernel, too
}

func (s *stream) init(c net.Conn) {
	s.c, s.want = c, smallBuffer
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw, s.read, s.put = raw, s.onReadable, s.writeNow
		}
	}
}

// bytes is what has been read and not discarded. Valid until the next fill or release.
func (s *stream) bytes() []byte { return s.buf[s.r:s.w] }

func (s *stream) discard(n int) { s.r += n }

// release gives an empty buffer back.
func (s *stream) release() {
	if s.buf != nil && s.r == s.w {
		bufpool.Put(s.buf)
		s.buf, s.r, s.w = nil, 0, 0
	}
}

// drop gives the buffer back with whatever is in it.
func (s *stream) drop() {
	s.r = s.w
	s.release()
}

// fill reads at least one byte more, behind those that are there.
func (s *stream) fill() error {
	s.makeRoom()
	if s.raw == nil {
		if s.buf == nil {
			s.borrow()
		}
		n, err := s.c.Read(s.buf[s.w:])
		if s.w += n; n > 0 {
			return nil
		}
		s.release()
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	s.err = nil
	if err := s.raw.Read(s.read); err != nil {
		return err
	}
	return s.err
}

// peek is fill that takes nothing from the kernel. Until take nothing else may be done with the stream but to look at bytes.
func (s *stream) peek() error {
	s.look = true
	err := s.fill()
	s.look = false
	return err
}

// take takes from the kernel what peek saw.
func (s *stream) take() {
	if s.seen == 0 {
		return
	}
	s.raw.Control(func(fd uintptr) {
		for at := s.w - s.seen; at < s.w; {
			n, err := netio.Read(int(fd), s.buf[at:s.w])
			if n <= 0 || err != nil {
				return // never: they are there
			}
			at += n
		}
	})
	s.seen = 0
}

// exchange writes p and reads at least one byte of the answer. The write happens where the poller is armed already: the
// answer cannot be missed, which saves the read that would only find out that it is not there yet. It returns how
// much was written.
func (s *stream) exchange(p []byte) (written int, err error) {
	if s.raw == nil {
		if written, err = s.write(p); err != nil {
			return written, err
		}
		return written, s.fill()
	}
	s.out, s.sent = p, 0
	err = s.fill()
	if s.out == nil { // all written
		return len(p), err
	}
	s.out = nil
	if err != nil {
		return s.sent, err
	}
	n, err := s.write(p[s.sent:]) // the kernel took a part
	if err != nil {
		return s.sent + n, err
	}
	return len(p), s.fill()
}

// onReadable is called by the runtime's poller; false waits for the next edge.
func (s *stream) onReadable(fd uintptr) bool {
	if s.out != nil && s.sent < len(s.out) {
		return !s.writeOut(fd)
	}
	if s.buf == nil {
		s.borrow()
	}
	n, err := 0, error(nil)
	if s.look {
		n, err = peekFD(fd, s.buf[s.w:])
		s.seen = max(n, 0)
	} else {
		n, err = netio.Read(int(fd), s.buf[s.w:])
	}
	switch {
	case n > 0:
		s.w += n
	case err == syscall.EAGAIN:
		s.release()
		return false
	case err != nil && err != io.EOF:
		s.err = &net.OpError{Op: "read", Net: "fd", Err: err}
	default:
		s.err = io.EOF
	}
	s.release()
	return true
}

// writeOut writes out; true: all of it, and the answer can be waited for.
func (s *stream) writeOut(fd uintptr) bool {
	n, err := netio.Write(int(fd), s.out)
	if n > 0 {
		s.sent = n
	}
	if err != nil {
		s.err = &net.OpError{Op: "write", Net: "fd", Err: err}
		return false
	}
	if s.sent < len(s.out) {
		return false
	}
	s.out = nil
	return true
}

func (s *stream) borrow() {
	s.buf = bufpool.Get(s.want)
	s.buf = s.buf[:cap(s.buf)]
	s.r, s.w = 0, 0
}

// makeRoom makes sure that there is room to read into, in a larger buffer if it must be.
func (s *stream) makeRoom() {
	switch {
	case s.buf == nil || s.w < len(s.buf):
	case s.r == s.w:
		s.r, s.w = 0, 0
	case s.r > 0:
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	default:
		b := bufpool.Get(len(s.buf) + 1)
		b = b[:cap(b)]
		copy(b, s.buf)
		bufpool.Put(s.buf)
		s.buf = b
	}
}

// expect chooses the size of the buffers to come by how many bytes are; -1: not known.
func (s *stream) expect(bytes int64) {
	if s.want = smallBuffer; bytes < 0 || bytes > smallBuffer {
		s.want = largeBuffer
	}
}

// write writes all of p, unless the peer takes nothing for writeTimeout.
func (s *stream) write(p []byte) (int, error) {
	n := 0
	if s.raw != nil {
		s.next = p
		s.raw.Control(s.put) // an error shows again below
		n, s.next, s.took = s.took, nil, 0
	}
	if n == len(p) {
		s.written += int64(n)
		return n, nil
	}
	if now := time.Now(); s.till.Sub(now) < writeTimeout {
		s.till = now.Add(2 * writeTimeout)
		s.c.SetWriteDeadline(s.till)
	}
	k, err := s.c.Write(p[n:])
	s.written += int64(n + k)
	return n + k, err
}

// writeNow writes what the kernel takes at once: most often all, and then no deadline is needed.
func (s *stream) writeNow(fd uintptr) { s.took, _ = netio.Write(int(fd), s.next) }

// isTimeout tells a deadline that passed from a broken connection.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// peekFD is the system call, on a descriptor that does not block.
func peekFD(fd uintptr, p []byte) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
