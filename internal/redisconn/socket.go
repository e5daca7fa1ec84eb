package redisconn

import (
	"net"
	"syscall"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// rawBytes is what a socket reads or writes at a time without telling the scheduler.
const rawBytes = 32 << 10

// socket is a plain connection that is read and written by package netio; Go's poller still waits.
// With the net package's calls each command to Redis woke the runtime's monitor thread in a process
// with little to do: 147 instead of 118 us of CPU for a PUBLISH each millisecond, and six context
// switches instead of four. One goroutine at a time may read, and one write.
type socket struct {
	net.Conn
	raw netio.Raw
}

// quiet makes a socket of a plain connection. Others, those over TLS, it returns as they are.
func quiet(conn net.Conn) net.Conn {
	s := &socket{Conn: conn}
	if !s.raw.Open(conn) {
		return conn
	}
	return s
}

// Read implements net.Conn.
func (s *socket) Read(b []byte) (int, error) { return s.raw.Read(b[:min(len(b), rawBytes)]) }

// Write implements net.Conn.
func (s *socket) Write(b []byte) (int, error) {
	if len(b) > rawBytes {
		return s.Conn.Write(b)
	}
	n, err := s.raw.WriteNow(b)
	if n == len(b) || err != nil {
		return n, err
	}
	k, err := s.Conn.Write(b[n:])
	return n + k, err
}

// SyscallConn is for the client, which looks whether a connection has ended whenever it takes one
// from its pool.
func (s *socket) SyscallConn() (syscall.RawConn, error) { return looked{s.raw.SyscallConn()}, nil }

// looked is a socket at which we look before others do.
type looked struct{ syscall.RawConn }

// Read calls f unless there is nothing to read, and no end. Then all is as the client hopes, which
// would find that out by a call that the scheduler is told of.
func (l looked) Read(f func(fd uintptr) (done bool)) error {
	return l.RawConn.Read(func(fd uintptr) bool { return netio.Silent(int(fd)) || f(fd) })
}
