package router

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// Listener has the router take the WebSockets from what ln accepts, unread, and leaves every other
// connection to whoever accepts from it, untouched: an http.Server that has the Router as its
// handler for Socket.IO's path. Without it that server reads the upgrades, too, and
// [Router.ServeHTTP] takes them over, for some more CPU. TLS connections are left alone.
// Connections are looked at until their first request is there, by a goroutine each; Close ends
// those.
func (r *Router) Listener(ln net.Listener) net.Listener {
	l := &listener{Feed: netio.NewFeed(ln.Addr()), ln: ln, r: r, silent: make(map[net.Conn]struct{})}
	l.inspecting.Go(l.accept)
	return l
}

type listener struct {
	*netio.Feed // of connections that aren't the router's
	ln          net.Listener
	r           *Router
	inspecting  sync.WaitGroup

	mu     sync.Mutex            // guards the rest
	silent map[net.Conn]struct{} // nothing came yet; nil once closed
}

// Close closes the listener beneath, and waits for who is still looking.
func (l *listener) Close() error {
	err := l.ln.Close()
	l.mu.Lock()
	for nc := range l.silent {
		nc.SetReadDeadline(past)
	}
	if l.silent != nil {
		l.silent = nil
		l.Feed.Close()
	}
	l.mu.Unlock()
	l.inspecting.Wait()
	return err
}

// accept looks at each connection until the listener fails, for good or, as the caller may know
// better, for now.
func (l *listener) accept() {
	for {
		nc, err := l.ln.Accept()
		if err == nil {
			l.inspecting.Go(func() { l.inspect(nc) })
			continue
		}
		if !l.Fail(err) {
			return
		}
	}
}

// inspect waits for a connection's first request and gives it to whose it is.
func (l *listener) inspect(nc net.Conn) {
	c := l.r.newConn(nc)
	if c.tcp != nil && l.await(c) && c.wantsWebSocket() && l.r.enter(c) {
		defer l.r.serving.Done()
		c.last = true
		c.serve(context.Background())
		return
	}
	c.Drop() // what was seen stays in the kernel
	if !l.Give(nc) {
		nc.Close()
	}
}

// await looks at the first bytes. It returns false if none come in time, or if the listener is
// closed.
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
	err := c.Peek()
	l.mu.Lock()
	delete(l.silent, c.nc)
	open = l.silent != nil
	l.mu.Unlock()
	c.nc.SetReadDeadline(time.Time{})
	return open && err == nil
}

// wantsWebSocket reports whether what was seen of a connection is an upgrade for a worker, whole.
func (c *conn) wantsWebSocket() bool {
	var h http1.Head
	b := c.Bytes()
	if _, err := h.ParseRequest(b, 0); err != nil || !h.Upgrade {
		return false
	}
	path, target := c.r.cfg.Path, h.Target.Of(b)
	return len(target) >= len(path) && string(target[:len(path)]) == path
}
