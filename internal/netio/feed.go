package netio

import (
	"net"
	"sync"
)

// Feed is a net.Listener whose connections come from other goroutines: a server accepts what Give
// was given. Its methods may be called concurrently.
type Feed struct {
	addr   net.Addr
	conns  chan net.Conn
	failed chan error
	done   chan struct{}
	once   sync.Once
}

var _ net.Listener = (*Feed)(nil)

// NewFeed makes a feed with that address.
func NewFeed(addr net.Addr) *Feed {
	return &Feed{
		addr:  addr,
		conns: make(chan net.Conn), failed: make(chan error), done: make(chan struct{}),
	}
}

// Give waits until a connection is accepted. It returns false if the feed is closed; the connection
// then still belongs to the caller.
func (f *Feed) Give(c net.Conn) bool {
	select {
	case f.conns <- c:
		return true
	case <-f.done:
		return false
	}
}

// Fail waits until one call of Accept returns err. It returns false if the feed is closed.
func (f *Feed) Fail(err error) bool {
	select {
	case f.failed <- err:
		return true
	case <-f.done:
		return false
	}
}

// Accept waits for a connection. It fails with an error that Fail was given, or with net.ErrClosed
// after Close.
func (f *Feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case err := <-f.failed:
		return nil, err
	case <-f.done:
		return nil, &net.OpError{Op: "accept", Net: f.addr.Network(), Addr: f.addr, Err: net.ErrClosed}
	}
}

// Close ends Accept and Give. Connections that were accepted live on.
func (f *Feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Done returns a channel that Close closes.
func (f *Feed) Done() <-chan struct{} { return f.done }

// Addr returns the address that the feed was made with.
func (f *Feed) Addr() net.Addr { return f.addr }
