package router

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// conn is an accepted connection: a client's, a load balancer's, or another router's. One goroutine
// serves it, request by request; while it waits it holds no buffer.
type conn struct {
	netio.Stream
	r         *Router
	nc        net.Conn        // as accepted: below TLS, where there is TLS
	fd        syscall.RawConn // of nc; nil: there is none
	tcp       socket          // nil: its descriptor can't be passed
	redirects bool            // accepted where plain HTTP is sent on to HTTPS
	accepted  time.Time
	peer      peer        // its other end
	served    int         // requests
	last      bool        // the next request is the last one
	bound     *worker     // of a door's connection that can't be passed: gets every request
	sid       string      // of the last request; most connections bring one only
	relaying  *workerConn // the worker's end of a WebSocket that a request opened
	watched   uint64      // the watcher's number for it, 0: none

	muxed  *tls.Conn    // what nc carries, if the clients agreed on a multiplexer's protocol
	uses   atomic.Int64 // connections to workers that a multiplexer's requests use
	parent *conn        // the multiplexer's connection that it is a request of

	member   member   // of the router's connections
	activity activity // what it does at the moment
	wait     wait     // of its request, for the worker
}

// socket is a connection whose descriptor is all that there is of it: package net's, or netio's.
type socket interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

func (r *Router) newConn(nc net.Conn) *conn {
	c := &conn{r: r, nc: nc, accepted: time.Now()}
	c.Init(nc, writeTimeout)
	c.fd = c.SyscallConn()
	switch s := nc.(type) {
	case *net.TCPConn:
		c.tcp = s
	case *netio.Conn:
		c.tcp = s
	}
	c.peer = r.proxies.peer(client{addr: addrOf(nc.RemoteAddr())})
	c.peer.awaitsProxy = c.peer.trusted && r.cfg.ProxyProtocol
	return c
}

// multiplexer serves connections over TLS whose clients agreed on a protocol that carries many
// requests at a time. HTTP/2 is the only one (http2.go).
type multiplexer interface {
	// protocol returns the name that TLS agrees on.
	protocol() string
	// take owns c, and ends it. It returns at once.
	take(c *conn)
	// run serves until drain.
	run(ctx context.Context)
	// drain ends each connection after its last answer. It returns when ctx ends.
	drain(ctx context.Context)
}

// serve reads requests until the connection ends, is passed on, becomes a relay, or turns out to be
// one for a multiplexer. All front ends end here: the connections that Serve accepts, over plain
// TCP and TLS; those that Listener recognizes; those that ServeHTTP takes over; and the requests of
// HTTP/2 and of ServeHTTP, each of which is a connection with one request (requestconn.go).
func (c *conn) serve(ctx context.Context) {
	for c.next(ctx) {
		c.served++
	}
	switch {
	case c.relaying != nil:
		c.relay(c.relaying)
	case c.muxed != nil:
		c.activity.mux()
		c.r.mux.take(c)
	default:
		c.end()
	}
}

// next waits for a request and sees it answered. It returns false after the connection's last one.
func (c *conn) next(ctx context.Context) bool {
	for len(c.Bytes()) == 0 {
		c.Release()
		idle := connIdle
		if c.served == 0 {
			idle = connFresh
		}
		now := time.Now()
		c.activity.rest(idle, now)
		c.Conn.SetReadDeadline(now.Add(c.r.cfg.IdleTimeout))
		err := c.first() // most connections are here most of the time
		if !c.activity.resume(idle) || err != nil {
			return false
		}
		if c.peer.awaitsProxy || c.beginsTLS() {
			c.r.conns.begins(c)
		}
		if c.peer.awaitsProxy && !c.readProxy() || c.beginsTLS() && !c.secure() || c.muxed != nil {
			return false
		}
	}
	x := begin(c)
	keep := x.serve(ctx)
	x.end(ctx)
	return keep
}

// first reads the first bytes of a request. Of a connection that a worker may want untouched it
// only looks at them.
func (c *conn) first() error {
	if c.served == 0 && c.tcp != nil && !c.peer.trusted && !c.peer.proxied && c.r.workers.untouched.Load() {
		return c.Peek()
	}
	return c.Fill()
}

// end closes the router's copy. A connection that was passed lives on in its worker.
func (c *conn) end() {
	if c.watched != 0 {
		c.r.watcher.remove(c)
	}
	c.Drop()
	c.Conn.Close()
	c.r.conns.forget(c)
}

// freshTime is how long a stopping router waits for the first request of a connection. It has
// accepted the connection, so nobody else can serve it, and a client cannot tell that from a server
// that dies.
const freshTime = 2 * time.Second

// closeIdle closes the connection if it is between requests, or waits for its first one for too
// long.
func (c *conn) closeIdle() {
	if c.activity.drain(time.Since(c.accepted) > freshTime) {
		c.nc.Close()
	}
}

// closeIfIdle closes the connection between two requests. It returns false if the next one has
// begun.
func (c *conn) closeIfIdle() bool {
	if !c.activity.giveUp() {
		return false
	}
	c.nc.Close()
	return true
}

// giveWay closes a newcomer. Its goroutine ends with that.
func (c *conn) giveWay() {
	if c != nil {
		c.r.metrics.evicted.WithLabelValues("newcomer").Inc()
		c.nc.Close()
	}
}

// await begins the wait for u, and has the client watched if that can end it: see wait.begin.
func (c *conn) await(u *workerConn, l leave, until time.Time) bool {
	if l != never && c.watched == 0 && c.fd != nil {
		c.r.watcher.add(c)
	}
	return c.wait.begin(u, l, until)
}

// clientHasLeft reports whether it was the client that ended the wait, and not the router. The
// client of another host's router has left if that router says so. Only the goroutine that serves c
// may call it.
func (c *conn) clientHasLeft() bool {
	left := c.wait.endedByClient() && !c.r.cutting.Load()
	if !left || c.bound == nil {
		return left
	}
	if len(c.Bytes()) == 0 {
		c.Conn.SetReadDeadline(time.Now().Add(tellTime))
		if c.Fill() != nil {
			return false
		}
	}
	return c.Bytes()[0] == handoff.ClientLeft
}

// cutOff ends everything about the connection now.
func (c *conn) cutOff() {
	c.wait.cutOff()
	c.nc.Close() // TLS would wait for a client that takes nothing
}

// readHead reads a request's head into h and returns its length. An error that is a *http1.Refusal
// is to be answered.
func (c *conn) readHead(h *http1.Head) (int, error) {
	if err := c.skipEmptyLine(); err != nil {
		return 0, err
	}
	seen := 0
	for {
		b := c.Bytes()
		n, err := h.ParseRequest(b, seen)
		switch {
		case err == nil && n > c.r.cfg.MaxHeadBytes, err == http1.ErrMore && len(b) >= c.r.cfg.MaxHeadBytes:
			return 0, http1.ErrTooLarge
		case err != http1.ErrMore:
			return n, err
		}
		if seen == 0 {
			c.r.conns.begins(c)
			// An absolute deadline: a byte now and then does not move it.
			c.Conn.SetReadDeadline(time.Now().Add(c.r.cfg.HeadTimeout))
		}
		seen = len(b)
		c.Take()
		if err := c.Fill(); err != nil {
			if isTimeout(err) {
				return 0, errSlow
			}
			return 0, err
		}
	}
}

var errSlow = &http1.Refusal{Status: 408, Why: "request did not come in time"}

// skipEmptyLine drops one CR LF before a request: some clients send it after a body (RFC 9112,
// section 2.2).
func (c *conn) skipEmptyLine() error {
	b := c.Bytes()
	if b[0] != '\r' {
		return nil
	}
	c.Take()
	for len(c.Bytes()) < 3 {
		if b := c.Bytes(); len(b) == 2 && !bytes.Equal(b, []byte("\r\n")) {
			return http1.ErrBareLF
		}
		c.Conn.SetReadDeadline(time.Now().Add(c.r.cfg.HeadTimeout))
		if err := c.Fill(); err != nil {
			return err
		}
	}
	if !bytes.HasPrefix(c.Bytes(), []byte("\r\n")) {
		return http1.ErrBareLF
	}
	c.Discard(2)
	return nil
}

// refusalOf is the answer to a head that could not be read; nil: the client is gone, nobody reads
// one.
func refusalOf(err error) *http1.Refusal {
	var f *http1.Refusal
	errors.As(err, &f)
	return f
}
