package handoff

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Conn is a connection that came through a Listener. It reads what the router had taken from it
// first, then the connection itself. One goroutine at a time may read.
type Conn struct {
	net.Conn   // the descriptor
	ClientAddr string
	Scheme     string

	kind   Kind
	head   []byte // not yet read
	remote net.Addr
}

func newConn(inner net.Conn, m Meta) *Conn {
	c := &Conn{Conn: inner, ClientAddr: m.ClientAddr, Scheme: m.Scheme, kind: m.Kind}
	if len(m.Head) > 0 {
		c.head = append([]byte(nil), m.Head...)
	}
	if a, err := netip.ParseAddrPort(m.ClientAddr); err == nil {
		c.remote = net.TCPAddrFromAddrPort(a)
	} else {
		c.remote = inner.RemoteAddr()
	}
	return c
}

// Kind says where the connection comes from.
func (c *Conn) Kind() Kind { return c.kind }

// Read reads the router's bytes, then the connection's.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.head) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.head)
	if c.head = c.head[n:]; len(c.head) == 0 {
		c.head = nil
	}
	return n, nil
}

// Unread puts back what was read and is for somebody else: Read returns it first. It takes b over.
func (c *Conn) Unread(b []byte) { c.head = append(b, c.head...) }

// Buffered returns the number of bytes that Read returns before it reads the descriptor.
func (c *Conn) Buffered() int { return len(c.head) }

// RemoteAddr is the true client's address (the other router's for Peer).
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SyscallConn gives the descriptor, for a poller of the caller's own. The bytes that Buffered
// counts are not in it.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	if s, ok := c.Conn.(syscall.Conn); ok {
		return s.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// CloseWrite ends the sending direction.
func (c *Conn) CloseWrite() error {
	if s, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return s.CloseWrite()
	}
	return errors.ErrUnsupported
}
