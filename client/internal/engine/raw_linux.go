package engine

import (
	"io"
	"net"
	"syscall"
)

// raw reads and writes a descriptor through Go's poller: to read it takes memory only once there is something to read, and
// to write it never waits. Reading and writing may go on at the same time, each by one goroutine.
type raw struct {
	conn syscall.RawConn

	onRead func(fd uintptr) bool // bound once, so that a read allocates nothing
	block  *[]byte
	rn     int
	rerr   error

	onWrite func(fd uintptr) bool
	out     []byte
	wn      int
	werr    error
}

// newRaw returns nil for connections that are more than their descriptor, TLS for one.
func newRaw(conn net.Conn) *raw {
	var r raw
	var err error
	switch c := conn.(type) {
	case *net.TCPConn:
		r.conn, err = c.SyscallConn()
	case *net.UnixConn:
		r.conn, err = c.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	r.onRead, r.onWrite = r.readReady, r.tryWrite
	return &r
}

// read waits for bytes and returns them in a block that it has borrowed for them.
func (r *raw) read() (block *[]byte, n int, err error) {
	err = r.conn.Read(r.onRead)
	if err == nil {
		err = r.rerr
	}
	if err == nil && r.rn == 0 {
		err = io.EOF
	}
	if err != nil && r.block != nil {
		blocks.Put(r.block)
		r.block = nil
	}
	block, r.block = r.block, nil
	return block, r.rn, err
}

func (r *raw) readReady(fd uintptr) bool {
	r.block = blocks.Get().(*[]byte)
	for {
		r.rn, r.rerr = syscall.Read(int(fd), *r.block)
		if r.rerr != syscall.EINTR {
			break
		}
	}
	if r.rerr == syscall.EAGAIN {
		blocks.Put(r.block)
		r.block = nil
		return false
	}
	return true
}

// writeNow writes what the kernel takes without waiting.
func (r *raw) writeNow(b []byte) (n int, err error) {
	r.out, r.wn, r.werr = b, 0, nil
	err = r.conn.Write(r.onWrite)
	r.out = nil
	if err == nil {
		err = r.werr
	}
	return r.wn, err
}

func (r *raw) tryWrite(fd uintptr) bool {
	for r.wn < len(r.out) {
		n, err := syscall.Write(int(fd), r.out[r.wn:])
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			if err != syscall.EAGAIN {
				r.werr = err
			}
			break
		}
		r.wn += n
	}
	return true
}
