package router

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// Listener has the router take the WebSockets from what ln accepts, unread, and leaves every other connection to whoever
// accepts from it, untouched: an http.Server that has the Router as its handler for Socket.IO's path. Without it that server
// reads the upgrades, too, and [Router.ServeHTTP] takes them over, for some more CPU. TLS connections are left alone.
// Connections are looked at until their first request is there, by a goroutine each; Close ends those.
func (r *Router) Listener(ln net.Listener) net.Listener {
	l := &listener{Listener: ln, r: r, others: make(chan net.Conn), failed: make(chan error), done: make(chan struct{}), silent: make(map[net.Conn]struct{})}
	l.looking.Go(l.accept)
	return l
}

type listener struct {
	net.Listener
	r       *Router
	others  chan net.Conn
	failed  chan error
	done    chan struct{}
	looking sync.WaitGroup

	mu     sync.Mutex            // guards the rest
	silent map[net.Conn]struct{} // nothing came yet; nil once closed
}

// Accept waits for a connection that is not the router's.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.others:
		return nc, nil
	case err := <-l.failed:
		return nil, err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close closes the listener beneath, and waits for who is still looking.
func (l *listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	for nc := range l.silent {
		nc.SetReadDeadline(past)
	}
	if l.silent != nil {
		l.silent = nil
		close(l.done)
	}
	l.mu.Unlock()
	l.looking.Wait()
	return err
}

// accept looks at each connection until the listener fails, for good or, as the caller may know better, for now.
func (l *listener) accept() {
	for {
		nc, err := l.Listener.Accept()
		if err == nil {
			l.looking.Go(func() { l.look(nc) })
			continue
		}
		select {
		case l.failed <- err:
		case <-l.done:
			return
		}
	}
}

// look waits for a connection's first request and gives it to whose it is.
func (l *listener) look(nc net.Conn) {
	c := l.r.newConn(nc)
	if c.tcp != nil && l.await(c) && c.wantsWebSocket() && l.r.enter(c) {
		defer l.r.serving.Done()
		c.last = true
		c.next(context.Background())
		c.finish()
		return
	}
	c.seen = 0 // it stays in the kernel
	c.drop()
	select {
	case l.others <- nc:
	case <-l.done:
		nc.Close()
	}
}

// await looks at the first bytes. False: there are none in time, or the listener is closed.
func (l *listener) await(c *conn) bool {
	c.nc.SetReadDeadline(time.Now().Add(l.r.cfg.HeadTimeout))
	l.mu.Lock()
	open := l.silent != nil
	if open {
		l.silent[c.nc] = struct{}{}
	}
	l.mu.Unlock()
	if !open {
		return false
	}
	err := c.peek()
	l.mu.Lock()
	delete(l.silent, c.nc)
	open = l.silent != nil
	l.mu.Unlock()
	c.nc.SetReadDeadline(time.Time{})
	return open && err == nil
}

// wantsWebSocket tells whether what was seen of a connection is an upgrade for a worker, whole.
func (c *conn) wantsWebSocket() bool {
	var h http1.Head
	b := c.bytes()
	if _, err := h.ParseRequest(b, 0); err != nil || !h.Upgrade {
		return false
	}
	path, target := c.r.cfg.Path, h.Target.Of(b)
	return len(target) >= len(path) && string(target[:len(path)]) == path
}
