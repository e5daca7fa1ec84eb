package service

import (
	"net"
	"sync"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/netio"
)

// addedListeners is one listener for the sockets that the supervisor adds while the router runs,
// because a worker of the app has begun to listen on a port.
type addedListeners struct {
	*netio.Feed // of the connections that they accept

	mu        sync.Mutex // guards what follows
	listeners []net.Listener
	closed    bool
	accepting sync.WaitGroup
}

func newAddedListeners() *addedListeners {
	return &addedListeners{Feed: netio.NewFeed(addedAddr{})}
}

// told takes a line of the supervisor, and serves the listener that comes with it.
func (d *addedListeners) told(t lifeline.Told) {
	if t.File == nil {
		return
	}
	defer t.File.Close()
	if t.Key != lifeline.Listener {
		return
	}
	l, err := net.FileListener(t.File)
	if err != nil {
		return // the supervisor holds the socket; the next router inherits it
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		l.Close()
		return
	}
	d.listeners = append(d.listeners, l)
	d.accepting.Go(func() { d.accept(l) })
}

func (d *addedListeners) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if !d.Give(c) {
			c.Close()
			return
		}
	}
}

// Close closes all listeners.
func (d *addedListeners) Close() error {
	d.mu.Lock()
	d.closed = true
	d.Feed.Close()
	for _, l := range d.listeners {
		l.Close()
	}
	d.mu.Unlock()
	d.accepting.Wait()
	return nil
}

// addedAddr is empty: each listener has its own address.
type addedAddr struct{}

func (addedAddr) Network() string { return "tcp" }
func (addedAddr) String() string  { return "" }
