package worker

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// lean serves what routers keep connections for: Engine.IO's polling, request by request. Everything else that comes over a handoff
// socket (WebSockets, the app's pages, whatever is rare in HTTP) it gives to net/http, connection and all: it is the listener that
// net/http serves. ADR 0014 has what that saves.
type lean struct {
	w     *worker
	path  string // that Engine.IO's requests begin with
	in    *handoff.Listener
	feed  *netio.Feed    // of net/http
	tasks sync.WaitGroup // accepting, connections, and what is written behind them

	closing atomic.Bool // idle connections end

	mu    sync.Mutex // guards the rest
	conns map[*conn]struct{}
}

var _ net.Listener = (*lean)(nil)

func newLean(w *worker, in *handoff.Listener) *lean {
	return &lean{
		w: w, path: w.io.Engine().Path(), in: in,
		feed: netio.NewFeed(in.Addr()), conns: make(map[*conn]struct{}),
	}
}

// accept takes connections in until the handoff socket is closed.
func (s *lean) accept() {
	for {
		nc, err := s.in.Accept()
		if err != nil {
			return // closed: it knows no other error
		}
		c, ok := nc.(*handoff.Conn)
		if !ok || c.Kind() == handoff.Client || !s.take(c) {
			s.give(nc)
		}
	}
}

// take serves a router's connection. False: it can't.
func (s *lean) take(nc *handoff.Conn) bool {
	c, err := s.newConn(nc)
	if err != nil {
		return false
	}
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.tasks.Go(c.serve)
	return true
}

func (s *lean) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// give makes a connection net/http's.
func (s *lean) give(nc net.Conn) {
	if !s.feed.Give(nc) {
		nc.Close()
	}
}

// Accept is net/http's.
func (s *lean) Accept() (net.Conn, error) { return s.feed.Accept() }

func (s *lean) Addr() net.Addr { return s.in.Addr() }

// Close ends what is taken in and given. Connections live on.
func (s *lean) Close() error {
	s.feed.Close()
	return s.in.Close()
}

// shutdown takes nothing in any more, waits for requests to be answered, until ctx ends, and closes all connections. What is
// not polling is net/http's, and still served.
func (s *lean) shutdown(ctx context.Context) error {
	err := s.in.Close()
	s.closing.Store(true)
	s.cut(false)
	ended := make(chan struct{})
	go func() {
		s.tasks.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		s.cut(true)
		<-ended
	}
	return err
}

func (s *lean) cut(now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.cut(now)
	}
}

// handle serves one request. False: the connection ends.
func (s *lean) handle(c *conn, x *exchange, head, body []byte) (keep bool) {
	r, told, err := x.request(head, body, c.addr)
	if err != nil {
		return false
	}
	res := &response{c: c}
	defer func() {
		if what := recover(); what != nil {
			keep = false
			if err, ok := what.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				s.w.log.Error().Interface("panic", what).Bytes("stack", debug.Stack()).Msg("request handler panicked")
			}
		}
	}()
	s.w.serveFrom(&c.peer, res, r, told)
	if res.later {
		return true
	}
	if !res.sent {
		err = res.send()
	}
	return err == nil && !res.close
}
