package router

import (
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
// Connections are looked at until their first bytes are there, by a goroutine each; Close ends
// those. Of silent connections there are at most MaxSilent: the oldest gives way to the next.
func (r *Router) Listener(ln net.Listener) net.Listener {
	l := &listener{Feed: netio.NewFeed(ln.Addr()), ln: ln, r: r}
	l.inspecting.Go(l.accept)
	return l
}

type listener struct {
	*netio.Feed // of connections that aren't the router's
	ln          net.Listener
	r           *Router
	inspecting  sync.WaitGroup

	mu     sync.Mutex // guards the rest
	silent newcomers  // nothing came yet
	closed bool
}

// Close closes the listener beneath, and waits for who is still looking.
func (l *listener) Close() error {
	err := l.ln.Close()
	l.mu.Lock()
	for c := l.silent.first; c != nil; c = c.member.after {
		c.nc.SetReadDeadline(past)
	}
	if !l.closed {
		l.closed = true
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
	here, gaveWay := c.tcp != nil, false
	if here {
		here, gaveWay = l.await(c)
	}
	if gaveWay {
		return
	}
	if here && c.wantsWebSocket() && l.r.enter(c) {
		c.last = true
		l.r.recognized <- c
		return
	}
	c.Drop() // what was seen stays in the kernel
	if !l.Give(nc) {
		nc.Close()
	}
}

// await looks at the first bytes. Nothing is here if none come in time, or if the listener is
// closed. A connection that gave way is closed.
func (l *listener) await(c *conn) (here, gaveWay bool) {
	c.nc.SetReadDeadline(time.Now().Add(l.r.cfg.HeadTimeout))
	if !l.joins(c) {
		return false, false
	}
	err := c.Peek()
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.member.queue == nil {
		c.Drop()
		return false, true
	}
	c.member.queue.remove(c)
	c.nc.SetReadDeadline(time.Time{})
	return err == nil && !l.closed, false
}

// joins counts a connection that is silent so far. If there are too many, the oldest gives way.
func (l *listener) joins(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	if l.silent.n >= l.r.cfg.MaxSilent {
		oldest := l.silent.first
		l.silent.remove(oldest)
		oldest.giveWay()
	}
	l.silent.push(c)
	return true
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
