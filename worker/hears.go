package worker

import (
	"io"
	"net"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// hears notices handoff.ClientLeft on a connection that net/http serves: as its last byte. While a
// request without a body is served, net/http reads a single byte, to learn of the connection's end.
// If it got this one, it would take it for the next request's, and learn nothing more.
type hears struct {
	left atomic.Bool
	last bool // the last byte that was read is ClientLeft
}

// read passes on the result of a read into p.
func (h *hears) read(p []byte, n int, err error) (int, error) {
	if n > 0 {
		h.last = p[n-1] == handoff.ClientLeft
	}
	alone := h.last && n == 1 && len(p) == 1
	if h.last && (alone || err == io.EOF) {
		h.left.Store(true)
	}
	if alone {
		return 0, io.EOF
	}
	return n, err
}

// routerConn is a router's connection that the handoff socket brought.
type routerConn struct {
	*handoff.Conn
	hears hears
}

func (c *routerConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return c.hears.read(p, n, err)
}

// portConn is a connection to the worker's own port: a router's, or anybody's.
type portConn struct {
	*net.TCPConn
	hears hears
}

func (c *portConn) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	return c.hears.read(p, n, err)
}

// portListener is the listener of the worker's own port.
type portListener struct{ net.Listener }

func (l portListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if c, ok := nc.(*net.TCPConn); ok {
		nc = &portConn{TCPConn: c}
	}
	return nc, err
}
