package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// pollServer serves Engine.IO's polling over the connections that routers keep. It is also
// net/http's listener: a connection with another request (a WebSocket, a page of the app, a rare
// form of HTTP) goes to net/http. ADR 0014 has the figures.
type pollServer struct {
	w     *worker
	path  string // of Engine.IO
	in    *handoff.Listener
	feed  *netio.Feed    // of net/http
	blank *http.Request  // has the context of net/http's requests
	tasks sync.WaitGroup // accept, the connections, and the writes of parked responses

	closing atomic.Bool // idle connections end

	mu    sync.Mutex // guards the rest
	conns map[*conn]struct{}
}

var _ net.Listener = (*pollServer)(nil)

// newPollServer accepts connections from now on, and serves those of routers. shutdown waits for
// all that it began.
func newPollServer(w *worker, in *handoff.Listener) *pollServer {
	s := &pollServer{
		w: w, path: w.io.Engine().Path(), in: in,
		feed: netio.NewFeed(in.Addr()), conns: make(map[*conn]struct{}),
		blank: new(http.Request).WithContext(w.http.BaseContext(in)),
	}
	s.tasks.Go(s.accept)
	return s
}

// accept accepts connections until the handoff socket is closed.
func (s *pollServer) accept() {
	for {
		nc, err := s.in.Accept()
		if err != nil {
			return // closed: Accept has no other error
		}
		c, ok := nc.(*handoff.Conn)
		if !ok || c.Kind() == handoff.Client || !s.take(c) {
			s.give(nc)
		}
	}
}

// take serves a router's connection. It returns false if it can't.
func (s *pollServer) take(nc *handoff.Conn) bool {
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

func (s *pollServer) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// give passes a connection to net/http.
func (s *pollServer) give(nc net.Conn) {
	if c, ok := nc.(*handoff.Conn); ok && c.Kind() != handoff.Client {
		nc = &routerConn{Conn: c}
	}
	if !s.feed.Give(nc) {
		nc.Close()
	}
}

// Accept returns the next connection for net/http.
func (s *pollServer) Accept() (net.Conn, error) { return s.feed.Accept() }

func (s *pollServer) Addr() net.Addr { return s.in.Addr() }

// Close ends Accept, and closes the handoff socket. Connections stay open.
func (s *pollServer) Close() error {
	s.feed.Close()
	return s.in.Close()
}

// afterCut is how long requests may take to notice that their connections are closed. A function of
// the app that doesn't notice is left behind.
const afterCut = time.Second

// shutdown accepts no more connections, waits until all requests are answered or ctx ends, and
// closes the connections that pollServer serves. net/http goes on with its own.
func (s *pollServer) shutdown(ctx context.Context) error {
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
		select {
		case <-ended:
		case <-time.After(afterCut):
		}
	}
	return err
}

func (s *pollServer) cut(now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.cut(now)
	}
}

// handle serves one request. It returns false if the connection must end.
func (s *pollServer) handle(c *conn, x *exchange, head, body []byte) (keep bool) {
	r, claim, err := x.request(s.blank, head, body, c.addr)
	if err != nil {
		return false
	}
	res := &response{c: c}
	defer func() {
		if what := recover(); what != nil {
			keep = false
			if err, ok := what.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				s.w.log.Error("request handler panicked", "panic", fmt.Sprint(what), "stack", string(debug.Stack()))
			}
		}
	}()
	s.w.serveFrom(&c.peer, res, r, claim)
	if res.later {
		return true
	}
	if !res.sent {
		err = res.send()
	}
	return err == nil && !res.close
}
