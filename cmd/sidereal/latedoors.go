package main

import (
	"net"
	"sync"

	"github.com/sidereal-io/sidereal/internal/lifeline"
)

// lateDoors is a listener for the sockets that a supervisor brings while the router runs: an app's worker has begun to
// listen somewhere.
type lateDoors struct {
	accepted chan net.Conn
	closing  chan struct{}

	mu        sync.Mutex // guards what follows
	listeners []net.Listener
	closed    bool
	accepting sync.WaitGroup
}

func newLateDoors() *lateDoors {
	return &lateDoors{accepted: make(chan net.Conn), closing: make(chan struct{})}
}

// told takes a line of the supervisor.
func (d *lateDoors) told(t lifeline.Told) {
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

func (d *lateDoors) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		select {
		case d.accepted <- c:
		case <-d.closing:
			c.Close()
			return
		}
	}
}

// Accept waits for a connection at any of them.
func (d *lateDoors) Accept() (net.Conn, error) {
	select {
	case c := <-d.accepted:
		return c, nil
	case <-d.closing:
		return nil, net.ErrClosed
	}
}

// Close closes them all.
func (d *lateDoors) Close() error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.closing)
	}
	for _, l := range d.listeners {
		l.Close()
	}
	d.mu.Unlock()
	d.accepting.Wait()
	return nil
}

// Addr is none: each of them has its own.
func (d *lateDoors) Addr() net.Addr { return lateAddr{} }

type lateAddr struct{}

func (lateAddr) Network() string { return "tcp" }
func (lateAddr) String() string  { return "" }
