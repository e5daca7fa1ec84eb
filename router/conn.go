package router

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
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
	r           *Router
	nc          net.Conn        // as accepted: below TLS, where there is TLS
	fd          syscall.RawConn // of nc; nil: there is none
	tcp         socket          // nil: its descriptor can't be passed
	fromDoor    bool            // TLS under the routers' own name
	redirects   bool            // accepted where plain HTTP is sent on to HTTPS
	accepted    time.Time
	awaitsProxy bool        // a PROXY header has to come first
	unproxied   bool        // and did not come
	proxied     bool        // and named the client, who isn't the descriptor's other end
	peer        client      // its other end
	trusted     bool        // the peer's forwarding headers are believed
	served      int         // requests
	last        bool        // the next request is the last one
	bound       *worker     // of a door's connection that can't be passed: gets every request
	sid         string      // of the last request; most connections bring one only
	muxed       *tls.Conn   // what nc carries, if the clients agreed on a multiplexer's protocol
	relaying    *workerConn // the worker's end of a WebSocket that a request opened
	watched     uint64      // the watcher's number for it, 0: none
	parent      *conn       // the multiplexer's connection that it is a request of

	state atomic.Uint32 // a connState
	since atomic.Int64  // Unix nanoseconds when it became idle; 0: a multiplexer has requests
	uses  atomic.Int64  // connections to workers that a multiplexer's requests use

	member             // of the router's connections
	mu     sync.Mutex  // guards the rest
	up     *workerConn // what a request waits for
	leave  leave       // what of the client ends that wait
	left   leave       // what the client did
	cut    bool        // the router stops
}

// socket is a connection whose descriptor is all that there is of it: package net's, or netio's.
type socket interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

type connState uint32

const (
	connActive connState = iota
	connFresh            // before its first request, which may be on its way
	connIdle             // between requests: may be closed at any time
	connMuxed            // with a multiplexer
	connClosed
)

// leave grades how far a client has gone.
type leave uint8

const (
	stays      leave = iota
	halfClosed       // it sends no more: whoever polls is gone then, as Node has it too
	hungUp           // it takes nothing any more
	never            // nothing that a client does ends the wait
)

func (r *Router) newConn(nc net.Conn) *conn {
	c := &conn{r: r, nc: nc, accepted: time.Now()}
	c.Init(nc, writeTimeout)
	c.fd = c.SyscallConn()
	c.peer.addr = peerOf(nc.RemoteAddr())
	switch s := nc.(type) {
	case *net.TCPConn:
		c.tcp = s
	case *netio.Conn:
		c.tcp = s
	}
	c.trusted = r.proxies.trusts(c.peer.addr.Addr())
	c.awaitsProxy = c.trusted && r.cfg.ProxyProtocol
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
		c.state.Store(uint32(connMuxed))
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
		c.since.Store(now.UnixNano())
		c.state.Store(uint32(idle))
		c.Conn.SetReadDeadline(now.Add(c.r.cfg.IdleTimeout))
		err := c.first() // most connections are here most of the time
		if !c.state.CompareAndSwap(uint32(idle), uint32(connActive)) || err != nil {
			return false
		}
		if c.awaitsProxy || c.beginsTLS() {
			c.r.conns.begins(c)
		}
		if c.awaitsProxy && !c.readProxy() || c.beginsTLS() && !c.secure() || c.muxed != nil {
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
	if c.served == 0 && c.tcp != nil && !c.trusted && !c.proxied && c.r.workers.untouched.Load() {
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
	if c.state.CompareAndSwap(uint32(connIdle), uint32(connClosed)) ||
		time.Since(c.accepted) > freshTime && c.state.CompareAndSwap(uint32(connFresh), uint32(connClosed)) {
		c.nc.Close()
	}
}

// past is a deadline that ends every wait.
var past = time.Unix(1, 0)

// await makes the wait for u end when the client has gone as far as l says, when the router stops,
// and at the time until, unless that is zero. It returns false if the client or the router has
// ended it already.
func (c *conn) await(u *workerConn, l leave, until time.Time) bool {
	if l != never && c.watched == 0 && c.fd != nil {
		c.r.watcher.add(c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up, c.leave = u, l
	if c.overLocked() {
		return false
	}
	if !until.IsZero() {
		u.Conn.SetReadDeadline(until)
	}
	return true
}

// answered lifts the time that await set.
func (c *conn) answered(u *workerConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.overLocked() {
		u.Conn.SetReadDeadline(time.Time{})
	}
}

// awaited ends what await began. It returns false if u was broken off, and can't be used any more.
func (c *conn) awaited() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = nil
	return !c.overLocked()
}

func (c *conn) overLocked() bool { return c.cut || c.leave != never && c.left >= c.leave }

// clientLeft is the watcher's news.
func (c *conn) clientLeft(hup bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left = max(c.left, halfClosed); hup {
		c.left = hungUp
	}
	if c.up != nil && c.overLocked() {
		c.up.Conn.SetDeadline(past)
	}
}

// clientHasLeft reports whether it was the client that ended the wait, and not the router. The
// client of another host's router has left if that router says so. Only the goroutine that serves c
// may call it.
func (c *conn) clientHasLeft() bool {
	c.mu.Lock()
	left := !c.cut && !c.r.cutting.Load() && c.leave != never && c.left >= c.leave
	c.mu.Unlock()
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

func (c *conn) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// cutOff ends everything about the connection now.
func (c *conn) cutOff() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	if c.up != nil {
		c.up.Conn.SetDeadline(past)
	}
	if c.nc != nil {
		c.nc.Close() // TLS would wait for a client that takes nothing
	}
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
