//go:build soak && linux

package soak

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// cord holds the network connections of one client, to do with them what networks do.
type cord struct {
	mu    sync.Mutex
	conns []*conn
}

func (c *cord) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	n := &conn{Conn: raw}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, n)
	return n, nil
}

func (c *cord) each(f func(*conn)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.conns {
		f(n)
	}
}

// cut resets the connections: no goodbye in any protocol.
func (c *cord) cut() {
	c.each(func(n *conn) {
		if tcp, ok := n.Conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		n.Close()
	})
}

// freeze leaves the connections open and takes the client from them.
func (c *cord) freeze() { c.each(func(n *conn) { n.frozen.Store(true) }) }

// conn is a connection that can freeze: what comes is thrown away, what is written goes nowhere.
type conn struct {
	net.Conn
	frozen atomic.Bool
}

func (n *conn) Read(p []byte) (int, error) {
	for {
		k, err := n.Conn.Read(p)
		if err != nil || !n.frozen.Load() {
			return k, err
		}
	}
}

func (n *conn) Write(p []byte) (int, error) {
	if n.frozen.Load() {
		return len(p), nil
	}
	return n.Conn.Write(p)
}
