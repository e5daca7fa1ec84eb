package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/client/internal/engine"
)

// Client is one connection to a server, with a socket for each namespace.
type Client struct {
	set      *settings
	engine   engine.Config
	own      *http.Transport // of polling, when the Config brought none
	upgraded atomic.Bool     // WebSocket has worked
	wg       sync.WaitGroup  // run, and the goroutines of handlers

	mu        sync.Mutex
	sockets   []*Socket
	conn      *engine.Conn    // nil while there is none
	authorize func(s *Socket) // asks AuthFunc; bound to conn
	step      func()          // ends the attempt, or the wait, that run is in
	running   bool
	closed    bool
}

// New checks cfg and returns a Client. Socket.Connect opens the connection.
func New(cfg Config) (*Client, error) {
	set, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{set: set}
	c.engine = set.engine()
	c.engine.OnTransport = c.onTransport
	if c.engine.HTTP == nil && slices.Contains(set.Transports, Polling) {
		c.own = &http.Transport{DialContext: set.Dial, TLSClientConfig: set.TLS}
		if cfg.Dial == nil {
			c.own.Proxy = http.ProxyFromEnvironment
		}
		c.engine.HTTP = &http.Client{Transport: c.own}
	}
	return c, nil
}

// Of returns the socket of a namespace, always the same one. It doesn't connect the socket. The
// leading slash may be missing.
func (c *Client) Of(namespace string) *Socket {
	if !strings.HasPrefix(namespace, "/") {
		namespace = "/" + namespace
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.socketLocked(namespace); s != nil {
		return s
	}
	s := newSocket(c, namespace)
	c.sockets = append(c.sockets, s)
	return s
}

func (c *Client) socketLocked(namespace string) *Socket {
	for _, s := range c.sockets { // few
		if s.name == namespace {
			return s
		}
	}
	return nil
}

// SID returns the id of the Engine.IO session, or "" without a connection.
func (c *Client) SID() string {
	if conn := c.current(); conn != nil {
		return conn.SID()
	}
	return ""
}

// Transport returns the name of the present transport, or "" without a connection.
func (c *Client) Transport() string {
	if conn := c.current(); conn != nil {
		return conn.Transport()
	}
	return ""
}

func (c *Client) current() *engine.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// Close sends what was emitted before, for up to two seconds, disconnects all sockets, ends the
// connection, and waits for the handlers. It returns nil. Later calls wait, too.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	for _, s := range c.sockets {
		s.disconnectLocked(ErrClosed)
		s.dropLocked(ErrClosed)
	}
	c.mu.Unlock()
	c.wg.Wait()
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
	return nil
}

// activeLocked reports whether some socket is connected or wants to be.
func (c *Client) activeLocked() bool {
	return slices.ContainsFunc(c.sockets, func(s *Socket) bool { return s.active })
}

// startLocked starts run, unless it runs.
func (c *Client) startLocked() {
	if !c.running {
		c.running = true
		c.wg.Go(c.run)
	}
}

// retireLocked closes the connection when no socket needs it any more.
func (c *Client) retireLocked() {
	switch {
	case c.activeLocked() || !c.running:
	case c.conn != nil:
		c.conn.Close()
	case c.step != nil: // otherwise run hasn't begun and will notice
		c.step()
	}
}

// run is the connection's goroutine: it connects, reads and reconnects while some socket is active.
func (c *Client) run() {
	for attempts := 0; ; attempts++ {
		ctx, cancel := context.WithCancel(context.Background())
		if !c.begin(cancel) {
			cancel()
			return
		}
		conn, err := c.open(ctx)
		cancel()
		if err == nil {
			attempts = 0
			c.begun(conn)
			err = c.ended(conn.Serve(newLink(c, conn)))
		} else {
			c.failedAttempt(err)
		}
		if err != nil && !c.wait(attempts, err) {
			attempts = -1 // everyone was told; a socket that connects now begins anew
		}
	}
}

// begin stores how to end an attempt. It returns false if no socket is active and run must end.
func (c *Client) begin(cancel func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = c.activeLocked()
	c.step = cancel
	return c.running
}

// open begins a session.
func (c *Client) open(ctx context.Context) (*engine.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.set.Timeout, fmt.Errorf("no connection within %v: %w", c.set.Timeout, context.DeadlineExceeded))
	defer cancel()
	cfg := &c.engine
	if remembered := c.set.RememberUpgrade && c.upgraded.Load(); remembered {
		changed := c.engine
		changed.Transports = slices.SortedStableFunc(slices.Values(cfg.Transports), func(a, b string) int {
			return strings.Compare(b, a) // websocket before polling
		})
		cfg = &changed
	}
	conn, err := engine.Open(ctx, cfg)
	if err != nil {
		c.upgraded.Store(false)
		if cause := context.Cause(ctx); cause != nil {
			err = errors.Join(cause, err)
		}
	}
	return conn, err
}

// begun connects every active socket over a new session.
func (c *Client) begun(conn *engine.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn, c.step = conn, nil
	if c.set.AuthFunc != nil {
		ctx, cancel := context.WithCancel(context.Background())
		c.step = cancel
		c.authorize = func(s *Socket) { c.wg.Go(func() { s.authorize(ctx, conn) }) }
	}
	for _, s := range c.sockets {
		if s.active {
			s.greetLocked()
		}
	}
	c.retireLocked() // if all have left meanwhile
}

// ended tells the sockets that the session has ended. It returns nil if we ended it.
func (c *Client) ended(reason string, err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.step != nil {
		c.step()
	}
	c.conn, c.authorize = nil, nil
	for _, s := range c.sockets {
		s.lostLocked(reason, err)
	}
	if reason == ReasonForcedClose {
		return nil
	}
	return fmt.Errorf("connection lost: %s: %w", reason, err)
}

// failedAttempt tells the sockets that wait for the connection.
func (c *Client) failedAttempt(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.active {
			s.failure = err
			s.tellLocked(func(r *registry) {
				for _, f := range r.refused {
					f(err)
				}
			})
		}
	}
}

// wait waits before the next attempt, or gives up and tells all sockets.
func (c *Client) wait(attempts int, err error) bool {
	if c.set.NoReconnection || c.set.ReconnectionAttempts > 0 && attempts >= c.set.ReconnectionAttempts {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, s := range c.sockets {
			s.giveUpLocked(fmt.Errorf("%w: %w", ErrGaveUp, err))
		}
		return false
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.mu.Lock()
	c.step = cancel
	active := c.activeLocked()
	c.mu.Unlock()
	if !active {
		return true
	}
	d := c.set.wait(attempts)
	if c.set.OnRetry != nil {
		c.set.OnRetry(attempts+1, d, err)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

func (c *Client) onTransport(name string) {
	if name == WebSocket {
		c.upgraded.Store(true)
	}
	if c.set.OnTransport != nil {
		c.set.OnTransport(name)
	}
}
