package netio

import (
	"io"
	"net"
	"os"
	"syscall"

	"github.com/sidereal-io/sidereal/internal/bufpool"
)

// Raw reads and writes the descriptor of a connection. Go's poller does the waiting, so a read
// needs a buffer only once there is something to read, and a write can tell what the kernel takes
// at once. One goroutine may read while another one writes. A Raw must not be copied after Open.
type Raw struct {
	conn    net.Conn
	raw     syscall.RawConn
	onRead  func(fd uintptr) bool // readReady and writeReady, bound once: binding allocates
	onWrite func(fd uintptr)

	// The read under way.
	in     []byte // nil: a buffer is to be borrowed
	size   int    // of the buffer to borrow
	first  []byte // to be written before the read
	looks  bool   // the bytes stay in the kernel
	n      int
	sent   int // of first
	err    error
	broken bool // err is of the write of first

	// The write under way.
	out  []byte
	took int
	werr error
}

// Open prepares r for the descriptor of conn. It returns false if conn doesn't give its descriptor
// away, as a TLS connection.
func (r *Raw) Open(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	*r = Raw{conn: conn, raw: raw}
	r.onRead, r.onWrite = r.readReady, r.writeReady
	return true
}

// SyscallConn returns the descriptor.
func (r *Raw) SyscallConn() syscall.RawConn { return r.raw }

// Read waits until there is something to read and reads it into p. It returns io.EOF at the end.
func (r *Raw) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.in = p
	_, err := r.read()
	return r.n, err
}

// ReadBorrowed is like Read, but borrows a buffer of at least size bytes from bufpool when there is
// something to read. The caller gives the buffer back.
func (r *Raw) ReadBorrowed(size int) ([]byte, error) {
	r.in, r.size = nil, size
	return r.read()
}

// ReadNow reads into p what is there already. It doesn't wait, and returns 0 if there is nothing.
func (r *Raw) ReadNow(p []byte) (n int) {
	_ = r.raw.Control(func(fd uintptr) { n, _ = Read(int(fd), p) }) // a closed connection has nothing
	return n
}

// read waits and reads. It returns what was read, or nothing and an error.
func (r *Raw) read() ([]byte, error) {
	r.n, r.err = 0, nil
	err := r.raw.Read(r.onRead)
	p := r.in
	r.in = nil
	if err == nil && r.err != nil {
		op := "read"
		if r.broken {
			op = "write"
		}
		err = r.explain(op, r.err)
	}
	return p[:r.n], err
}

// readReady is called by Go's poller. It returns false to wait until something more can be read.
func (r *Raw) readReady(fd uintptr) bool {
	if r.first != nil {
		return !r.writeFirst(fd)
	}
	p := r.in
	if p == nil {
		p = bufpool.Get(r.size)
		p = p[:cap(p)]
	}
	var err error
	if r.looks {
		r.n, err = peekAt(int(fd), p)
	} else {
		r.n, err = Read(int(fd), p)
	}
	if err != nil {
		r.n = 0
		if r.in == nil {
			bufpool.Put(p)
		}
		if err == syscall.EAGAIN {
			return false
		}
		r.err = err
		return true
	}
	r.in = p
	return true
}

// writeFirst writes first. It returns true if the kernel took all of it, so that the read can wait.
// It writes nothing if there is something to read, or the end: the poller has forgotten that.
func (r *Raw) writeFirst(fd uintptr) bool {
	if !Silent(int(fd)) {
		return false
	}
	n, err := Write(int(fd), r.first)
	r.sent = n
	if r.err, r.broken = err, err != nil; err != nil || n < len(r.first) {
		return false
	}
	r.first = nil
	return true
}

// WriteNow writes what the kernel takes without waiting.
func (r *Raw) WriteNow(p []byte) (int, error) {
	r.out, r.took, r.werr = p, 0, nil
	err := r.raw.Control(r.onWrite)
	r.out = nil
	if err == nil {
		err = r.explain("write", r.werr)
	}
	return r.took, err
}

func (r *Raw) writeReady(fd uintptr) { r.took, r.werr = Write(int(fd), r.out) }

// explain gives the error of a system call the form that package net gives it.
func (r *Raw) explain(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	remote := r.conn.RemoteAddr()
	return &net.OpError{
		Op: op, Net: remote.Network(), Source: r.conn.LocalAddr(), Addr: remote,
		Err: os.NewSyscallError(op, err),
	}
}

// peekAt is Read that leaves the bytes in the kernel.
func peekAt(fd int, p []byte) (int, error) {
	for {
		n, _, err := syscall.Recvfrom(fd, p, syscall.MSG_PEEK)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
