package redisconn

import (
	"io"
	"net"
	"os"
	"syscall"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// rawBytes is what a socket reads or writes at a time without telling the scheduler.
const rawBytes = 32 << 10

// socket is a plain connection that is read and written by package netio; Go's poller still waits. With the net package's
// calls each command to Redis woke the runtime's monitor thread in a process with little to do: 147 instead of 118 us of
// CPU for a PUBLISH each millisecond, and six context switches instead of four. One goroutine at a time may read, and one write.
type socket struct {
	net.Conn
	raw       syscall.RawConn
	in, out   transfer
	readSome  func(fd uintptr) (done bool) // of in, bound once: binding allocates
	writeSome func(fd uintptr) (done bool) // of out
}

// transfer is a read or a write under way.
type transfer struct {
	b   []byte
	n   int
	err error
}

// quiet makes a socket of a plain connection. Others, those over TLS, it returns as they are.
func quiet(conn net.Conn) net.Conn {
	plain, ok := conn.(syscall.Conn)
	if !ok {
		return conn
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return conn
	}
	s := &socket{Conn: conn, raw: raw}
	s.readSome, s.writeSome = s.in.read, s.out.write
	return s
}

func (t *transfer) read(fd uintptr) (done bool) {
	t.n, t.err = netio.Read(int(fd), t.b)
	return t.err != syscall.EAGAIN
}

func (t *transfer) write(fd uintptr) (done bool) {
	n, err := netio.Write(int(fd), t.b[t.n:])
	t.n, t.err = t.n+n, err
	return err != nil || t.n == len(t.b)
}

// Read implements net.Conn.
func (s *socket) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	s.in = transfer{b: b[:min(len(b), rawBytes)]}
	err := s.raw.Read(s.readSome)
	s.in.b = nil
	if err == nil {
		err = s.explain("read", s.in.err)
	}
	return s.in.n, err
}

// Write implements net.Conn.
func (s *socket) Write(b []byte) (int, error) {
	if len(b) > rawBytes {
		return s.Conn.Write(b)
	}
	s.out = transfer{b: b}
	err := s.raw.Write(s.writeSome)
	s.out.b = nil
	if err == nil {
		err = s.explain("write", s.out.err)
	}
	return s.out.n, err
}

func (s *socket) explain(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: s.RemoteAddr().Network(), Source: s.LocalAddr(), Addr: s.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}

// SyscallConn is for the client, which looks whether a connection has ended whenever it takes one from its pool.
func (s *socket) SyscallConn() (syscall.RawConn, error) { return looked{s.raw}, nil }

// looked is a socket at which we look before others do.
type looked struct{ syscall.RawConn }

// Read calls f unless there is nothing to read, and no end. Then all is as the client hopes, which would find that out by
// a call that the scheduler is told of.
func (l looked) Read(f func(fd uintptr) (done bool)) error {
	return l.RawConn.Read(func(fd uintptr) bool { return netio.Silent(int(fd)) || f(fd) })
}
