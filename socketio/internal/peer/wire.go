package peer

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// wireBuffer is how many bytes one direction of a wire takes before writes wait, as a socket's.
const wireBuffer = 64 << 10

// wire is a connection within this process that a test can disturb. Unlike net.Pipe its ends have
// buffers, so that a write usually doesn't wait for a reader, as with sockets.
type wire struct{ up, down *half } // from the client to the server, and back

// newWire makes a wire, and returns its ends.
func newWire(delay time.Duration) (w *wire, client, server *wireConn) {
	w = &wire{newHalf(delay), newHalf(delay)}
	return w, &wireConn{in: w.down, out: w.up}, &wireConn{in: w.up, out: w.down}
}

// hold stops both directions, or lets them go on: bytes wait where they are.
func (w *wire) hold(on bool) {
	w.up.change(func() { w.up.held = on })
	w.down.change(func() { w.down.held = on })
}

// slow has each byte arrive d after it was written.
func (w *wire) slow(d time.Duration) {
	w.up.change(func() { w.up.delay = d })
	w.down.change(func() { w.down.delay = d })
}

// cut breaks the connection. Bytes that are under way are lost.
func (w *wire) cut() {
	w.up.change(func() { w.up.reset() })
	w.down.change(func() { w.down.reset() })
}

// hangUp ends the server's side, as the kernel does for a process that was killed: the client reads
// the end behind what the server has written.
func (w *wire) hangUp() {
	w.up.change(func() { w.up.reset() })
	w.down.change(func() { w.down.ended = true })
}

// over reports whether both ends are closed, or the wire is cut.
func (w *wire) over() bool { return w.up.over() && w.down.over() }

// half is one direction of a wire.
type half struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	chunks  []chunk       // written and not read
	size    int           // of chunks
	held    bool
	delay   time.Duration
	ended   bool // the writer has closed: the end follows the chunks
	deaf    bool // the reader has closed
	broken  bool

	readBy, writeBy time.Time // deadlines; zero: none
}

// chunk is some bytes and the time when they arrive.
type chunk struct {
	at time.Time
	b  []byte
}

func newHalf(delay time.Duration) *half {
	return &half{changed: make(chan struct{}), delay: delay}
}

func (h *half) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	h.changedLocked()
}

func (h *half) changedLocked() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *half) reset() { h.broken, h.chunks, h.size = true, nil, 0 }

func (h *half) over() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.broken || h.ended && h.deaf
}

// awaitLocked waits for a change, or until the earlier of two times. It returns false after
// deadline.
func (h *half) awaitLocked(deadline, till time.Time) bool {
	now := time.Now()
	if !deadline.IsZero() {
		if !now.Before(deadline) {
			return false
		}
		if till.IsZero() || deadline.Before(till) {
			till = deadline
		}
	}
	changed := h.changed
	h.mu.Unlock()
	defer h.mu.Lock()
	if till.IsZero() {
		<-changed
		return true
	}
	timer := time.NewTimer(till.Sub(now))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
	return true
}

// readable waits until there is something to read, with mu held.
func (h *half) readable() error {
	for {
		var till time.Time
		switch {
		case h.deaf:
			return net.ErrClosed
		case h.broken:
			return syscall.ECONNRESET
		case h.held:
		case len(h.chunks) > 0 && !h.chunks[0].at.After(time.Now()):
			return nil
		case len(h.chunks) > 0:
			till = h.chunks[0].at
		case h.ended:
			return io.EOF
		}
		if !h.awaitLocked(h.readBy, till) {
			return os.ErrDeadlineExceeded
		}
	}
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if err := h.readable(); err != nil {
		return 0, err
	}
	n := 0
	now := time.Now()
	for n < len(p) && len(h.chunks) > 0 && !h.chunks[0].at.After(now) {
		c := &h.chunks[0]
		k := copy(p[n:], c.b)
		n += k
		if c.b = c.b[k:]; len(c.b) == 0 {
			h.chunks = h.chunks[1:]
		}
	}
	h.size -= n
	h.changedLocked()
	return n, nil
}

// write writes what fits. If wait is set it waits until everything fits.
func (h *half) write(p []byte, wait bool) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.ended:
			return n, net.ErrClosed
		case h.broken:
			return n, syscall.ECONNRESET
		case h.deaf && !h.held:
			return n, syscall.EPIPE
		}
		if k := min(len(p)-n, wireBuffer-h.size); k > 0 {
			h.chunks = append(h.chunks, chunk{time.Now().Add(h.delay), append([]byte(nil), p[n:n+k]...)})
			h.size += k
			n += k
			h.changedLocked()
		}
		if n == len(p) || !wait {
			return n, nil
		}
		if !h.awaitLocked(h.writeBy, time.Time{}) {
			return n, os.ErrDeadlineExceeded
		}
	}
}

// wireConn is one end of a wire.
type wireConn struct{ in, out *half }

var _ net.Conn = (*wireConn)(nil)

func (c *wireConn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, wireError("read", err)
}
func (c *wireConn) Write(p []byte) (int, error) {
	n, err := c.out.write(p, true)
	return n, wireError("write", err)
}

// WriteNow writes what fits without waiting. engineio and the client use it in place of Write where
// a connection has it.
func (c *wireConn) WriteNow(p []byte) (int, error) {
	n, err := c.out.write(p, false)
	return n, wireError("write", err)
}

// ReadBorrowed waits until there is something to read, and reads it into a buffer of bufpool.
func (c *wireConn) ReadBorrowed(size int) ([]byte, error) {
	buf := bufpool.Get(size)
	n, err := c.Read(buf[:cap(buf)])
	if err != nil {
		bufpool.Put(buf)
		return nil, err
	}
	return buf[:n], nil
}

func (c *wireConn) Close() error {
	_ = c.CloseWrite() // never fails
	c.in.change(func() { c.in.deaf, c.in.chunks, c.in.size = true, nil, 0 })
	return nil
}

// CloseWrite ends our side: the other end reads io.EOF after what was written.
func (c *wireConn) CloseWrite() error {
	c.out.change(func() { c.out.ended = true })
	return nil
}

func (c *wireConn) SetReadDeadline(t time.Time) error {
	c.in.change(func() { c.in.readBy = t })
	return nil
}

func (c *wireConn) SetWriteDeadline(t time.Time) error {
	c.out.change(func() { c.out.writeBy = t })
	return nil
}

func (c *wireConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t) // never fails
	return c.SetWriteDeadline(t)
}

func (c *wireConn) LocalAddr() net.Addr  { return address }
func (c *wireConn) RemoteAddr() net.Addr { return address }

// address is a TCP address, because the server parses those.
var address = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}

// wireError gives an error the form that package net gives it.
func wireError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(op, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: address, Addr: address, Err: err}
}
