package netio

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

// Conn is a net.Conn around a descriptor. net.FileConn would duplicate the descriptor, ask for both
// addresses and set four options: ten system calls more for each connection.
type Conn struct {
	f      *os.File
	remote net.Addr
	local  net.Addr // nil: to be asked for
}

var (
	_ net.Conn     = (*Conn)(nil)
	_ syscall.Conn = (*Conn)(nil)
)

// NewConn takes fd over, unless it fails. The addresses are the caller's word.
func NewConn(fd int, local, remote net.Addr) (*Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil { // a shared flag; only foreign senders would have it off
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &Conn{f: os.NewFile(uintptr(fd), "socket"), remote: remote, local: local}, nil
}

func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.f.Read(p)
	return n, c.wrap("read", err)
}

func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.f.Write(p)
	return n, c.wrap("write", err)
}

func (c *Conn) Close() error { return c.wrap("close", c.f.Close()) }

func (c *Conn) CloseWrite() error {
	rc, err := c.f.SyscallConn()
	if err != nil {
		return c.wrap("close", err)
	}
	if cerr := rc.Control(func(fd uintptr) { err = unix.Shutdown(int(fd), unix.SHUT_WR) }); cerr != nil {
		return c.wrap("close", cerr)
	}
	return c.wrap("close", err)
}

func (c *Conn) RemoteAddr() net.Addr                  { return c.remote }
func (c *Conn) SetDeadline(t time.Time) error         { return c.f.SetDeadline(t) }
func (c *Conn) SetReadDeadline(t time.Time) error     { return c.f.SetReadDeadline(t) }
func (c *Conn) SetWriteDeadline(t time.Time) error    { return c.f.SetWriteDeadline(t) }
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.f.SyscallConn() }

// LocalAddr is the address that the connection was accepted on.
func (c *Conn) LocalAddr() net.Addr {
	if c.local != nil {
		return c.local
	}
	raw, err := c.f.SyscallConn()
	if err != nil {
		return &net.TCPAddr{}
	}
	var name unix.Sockaddr
	if cerr := raw.Control(func(fd uintptr) { name, err = unix.Getsockname(int(fd)) }); cerr != nil || err != nil {
		return &net.TCPAddr{}
	}
	return tcpAddr(name)
}

// wrap gives a file's error the form of a connection's: net/http tells timeouts and closed
// connections by it.
func (c *Conn) wrap(op string, err error) error {
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
	return &net.OpError{Op: op, Net: c.remote.Network(), Addr: c.remote, Err: err}
}
