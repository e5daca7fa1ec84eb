package router

import (
	"bytes"
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

// h2 serves the connections that speak HTTP/2. The protocol is net/http's; each of its requests goes the way of all
// others, as the one request of a connection of its own (h2stream.go). WebSockets don't: without the extension of RFC 8441,
// which is not offered, clients open them over HTTP/1.1.
type h2 struct {
	r      *Router
	server http.Server
	feed   *netio.Feed
	conns  sync.Map // *tls.Conn -> *conn
}

const (
	h2Streams = 250       // requests at a time on one connection: polls of as many clients behind one proxy
	h2Frame   = 16 << 10  // largest that is read: the least that may be announced
	h2Window  = 64 << 10  // bytes of one body that may wait here
	h2Windows = 256 << 10 // of all bodies of a connection
	// A connection that is silent for h2Silence is asked whether it lives. Without that nobody would miss a client that
	// vanished during its poll.
	h2Silence = 30 * time.Second

	maxWarning = 1 << 10 // bytes of a line of net/http's that are logged
)

type h2key struct{}

func newH2(r *Router) *h2 {
	h := &h2{r: r, feed: netio.NewFeed(&net.TCPAddr{})}
	h.server = http.Server{
		MaxHeaderBytes: r.cfg.MaxHeadBytes,
		IdleTimeout:    r.cfg.IdleTimeout,
		ErrorLog:       log.New(&warnings{r: r}, "", 0),
		ConnState:      h.changed,
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			c, _ := h.conns.Load(nc)
			return context.WithValue(ctx, h2key{}, c)
		},
		Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: h2Streams, MaxReadFrameSize: h2Frame,
			MaxReceiveBufferPerStream: h2Window, MaxReceiveBufferPerConnection: h2Windows,
			SendPingTimeout: h2Silence, WriteByteTimeout: writeTimeout,
		},
	}
	h.server.Protocols.SetHTTP2(true)
	return h
}

// run serves until drain. What requests start for others must not end with them, so their context is ctx.
func (h *h2) run(ctx context.Context) {
	h.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { h.serve(ctx, w, req) })
	h.server.Serve(h.feed) // ends with the feed, and cannot fail otherwise
}

// take gives a connection that speaks HTTP/2 to the server, which ends it. Until then it counts as served.
func (h *h2) take(c *conn) {
	c.state.Store(uint32(connStreams))
	h.conns.Store(c.streams, c)
	h.r.serving.Add(1)
	if !h.feed.Give(c.streams) {
		h.end(c.streams)
	}
}

func (h *h2) changed(nc net.Conn, state http.ConnState) {
	switch state {
	case http.StateClosed:
		h.end(nc)
	case http.StateActive, http.StateIdle:
		if c, ok := h.conns.Load(nc); ok {
			c.(*conn).active(state == http.StateActive)
		}
	}
}

// active notes whether a connection that speaks HTTP/2 has requests.
func (c *conn) active(has bool) {
	since := int64(0)
	if !has {
		since = time.Now().UnixNano()
	}
	c.since.Store(since)
}

func (h *h2) end(nc net.Conn) {
	if c, ok := h.conns.LoadAndDelete(nc); ok {
		c.(*conn).end()
		h.r.serving.Done()
	}
}

// drain has clients take their next request elsewhere, and ends each connection with its last answer. It returns with ctx.
func (h *h2) drain(ctx context.Context) {
	h.server.Shutdown(ctx)
	h.server.Close()
}

// serve serves one request.
func (h *h2) serve(ctx context.Context, w http.ResponseWriter, req *http.Request) {
	parent := req.Context().Value(h2key{}).(*conn)
	parent.heard()
	c := &conn{r: h.r, parent: parent, peer: parent.peer, trusted: parent.trusted, unproxied: parent.unproxied}
	c.serveStream(ctx, w, req, parent.isCut)
}

// serveStream serves a request that net/http has read, as the only one of c. Cut tells whether its end is the router's doing,
// and not its client's.
func (c *conn) serveStream(ctx context.Context, w http.ResponseWriter, req *http.Request, cut func() bool) {
	s := h2streams.Get().(*h2stream)
	s.begin(w, req)
	if !s.compose() {
		s.end()
		c.r.metrics.refused.WithLabelValues("400").Inc()
		http.Error(w, http1.ErrLine.Why, http.StatusBadRequest)
		return
	}
	c.Init(s, writeTimeout)
	c.mu.Lock()
	c.nc = s
	c.mu.Unlock()
	leave := context.AfterFunc(req.Context(), func() {
		if cut() {
			c.cutOff()
		} else {
			c.clientLeft(true)
		}
	})
	c.next(ctx)
	leave()
	c.Drop()
	whole := s.whole()
	s.end()
	if !whole {
		panic(http.ErrAbortHandler) // resets the stream: what came is not all
	}
}

// warnings counts what net/http has to say about connections, and logs some of it: a client makes
// it say something whenever it likes.
type warnings struct {
	r       *Router
	logged  atomic.Int64  // Unix seconds
	omitted atomic.Uint64 // since then
}

func (w *warnings) Write(p []byte) (int, error) {
	w.r.metrics.h2Errors.Inc()
	if !seldom(&w.logged) {
		w.omitted.Add(1)
		return len(p), nil
	}
	line := bytes.TrimRight(p[:min(len(p), maxWarning)], "\n")
	w.r.log.Warn().Bytes("error", line).Uint64("omitted", w.omitted.Swap(0)).Msg("HTTP/2 connection failed")
	return len(p), nil
}

// speaksH2 tells what was agreed on.
func speaksH2(tc *tls.Conn) bool { return tc.ConnectionState().NegotiatedProtocol == protoH2 }

const (
	protoH1 = "http/1.1"
	protoH2 = "h2"
)
