package handoff

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a net.Conn around a descriptor. net.FileConn would duplicate the descriptor, ask for both addresses and set
// four options: ten system calls more for each connection passed.
type socket struct {
	f    *os.File
	addr net.Addr // the handoff socket that it crossed
}

var _ net.Conn = (*socket)(nil)

// newSocket takes fd over, unless it fails.
func newSocket(fd int, addr net.Addr) (*socket, error) {
	if err := unix.SetNonblock(fd, true); err != nil { // a shared flag; only foreign senders would have it off
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &socket{f: os.NewFile(uintptr(fd), "handoff"), addr: addr}, nil
}

func (s *socket) Read(p []byte) (int, error) {
	n, err := s.f.Read(p)
	return n, s.wrap("read", err)
}

func (s *socket) Write(p []byte) (int, error) {
	n, err := s.f.Write(p)
	return n, s.wrap("write", err)
}

func (s *socket) Close() error { return s.wrap("close", s.f.Close()) }

func (s *socket) CloseWrite() error {
	rc, err := s.f.SyscallConn()
	if err != nil {
		return s.wrap("close", err)
	}
	if cerr := rc.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_WR) }); cerr != nil {
		return s.wrap("close", cerr)
	}
	return s.wrap("close", err)
}

func (s *socket) LocalAddr() net.Addr                   { return s.addr }
func (s *socket) RemoteAddr() net.Addr                  { return s.addr }
func (s *socket) SetDeadline(t time.Time) error         { return s.f.SetDeadline(t) }
func (s *socket) SetReadDeadline(t time.Time) error     { return s.f.SetReadDeadline(t) }
func (s *socket) SetWriteDeadline(t time.Time) error    { return s.f.SetWriteDeadline(t) }
func (s *socket) SyscallConn() (syscall.RawConn, error) { return s.f.SyscallConn() }

// wrap gives a file's error the form of a connection's: net/http tells timeouts and closed connections by it.
func (s *socket) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if errors.Is(err, os.ErrClosed) {
		err = net.ErrClosed
	}
	return &net.OpError{Op: op, Net: "unix", Addr: s.addr, Err: err}
}
