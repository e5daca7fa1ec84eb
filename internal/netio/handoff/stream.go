package handoff

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"
)

// Where descriptors can't be passed, each connection to a stream socket is one Local connection.
// After the worker's greeting the router sends one byte that says what the connection is for.
const (
	streamOpen  = 'o' // requests follow
	streamWatch = 'w' // nothing follows; held open to see the worker end
)

// serveStream answers one connection to a stream socket.
func (l *Listener) serveStream(c *net.UnixConn) {
	what, err := l.greetStream(c)
	switch {
	case err != nil:
		l.lose()
		c.Close()
	case what == streamOpen:
		l.forget(c)
		c.SetDeadline(time.Time{})
		l.deliver(newConn(c, Meta{Kind: Local, Scheme: "http"}))
	default:
		c.SetDeadline(time.Time{})
		var b [1]byte
		_, _ = c.Read(b[:]) // until either side closes
		c.Close()
	}
}

func (l *Listener) greetStream(c *net.UnixConn) (what byte, err error) {
	if err := sameUser(c); err != nil {
		return 0, err
	}
	c.SetDeadline(time.Now().Add(handshakeTimeout))
	if _, err := c.Write(appendGreeting(nil, l.worker, false)); err != nil {
		return 0, err
	}
	var b [1]byte
	if _, err := c.Read(b[:]); err != nil {
		return 0, err
	}
	if b[0] != streamOpen && b[0] != streamWatch {
		return 0, errWire
	}
	return b[0], nil
}

// streamLink is a Sender's link over stream sockets.
type streamLink struct{ path, worker string }

var _ link = (*streamLink)(nil)

func (*streamLink) waiting() bool { return false }

func (*streamLink) pass(syscall.Conn, *Meta) error { return ErrUnsupported }

func (s *streamLink) open(ctx context.Context) (net.Conn, error) {
	c, _, err := connect(ctx, "unix", s.path, s.worker)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write([]byte{streamOpen}); err != nil {
		c.Close()
		return nil, fmt.Errorf("handoff: worker %s: %w", s.worker, ErrDead)
	}
	return c, nil
}
