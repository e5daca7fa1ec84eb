package router

import (
	"bytes"
	"context"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// h2 is the multiplexer for HTTP/2. Net/http has the protocol. Each request goes the way of all
// others, as the only request of a connection of its own (requestconn.go). WebSockets don't come
// over HTTP/2: the router doesn't offer the extension that they need (RFC 8441), so clients open
// them over HTTP/1.1.
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
	// A connection that is silent for h2Silence is asked whether it lives. Without that nobody
	// would miss a client that vanished during its poll.
	h2Silence = 30 * time.Second

	maxWarning = 1 << 10 // bytes of a line of net/http's that are logged
)

// h2key is the key of a connection in the context of its requests.
type h2key struct{}

var _ multiplexer = (*h2)(nil)

func newHTTP2(r *Router) *h2 {
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

func (h *h2) protocol() string { return protoH2 }

// run serves until drain. Requests may start work for others, which must not end with them, so they
// get ctx and not a context of their own.
func (h *h2) run(ctx context.Context) {
	h.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { h.serve(ctx, w, req) })
	_ = h.server.Serve(h.feed) // ends with the feed, and can't fail otherwise
}

// take gives a connection to the server, which ends it. Until then it counts as served.
func (h *h2) take(c *conn) {
	h.conns.Store(c.muxed, c)
	h.r.conns.serving.Add(1)
	if !h.feed.Give(c.muxed) {
		h.end(c.muxed)
	}
}

func (h *h2) changed(nc net.Conn, state http.ConnState) {
	switch state {
	case http.StateClosed:
		h.end(nc)
	case http.StateActive, http.StateIdle:
		if c, ok := h.conns.Load(nc); ok {
			c.(*conn).activity.muxes(state == http.StateActive)
		}
	}
}

func (h *h2) end(nc net.Conn) {
	if c, ok := h.conns.LoadAndDelete(nc); ok {
		c.(*conn).end()
		h.r.conns.serving.Done()
	}
}

// drain has clients take their next request elsewhere, and ends each connection with its last
// answer. It returns with ctx.
func (h *h2) drain(ctx context.Context) {
	_ = h.server.Shutdown(ctx) // fails where ctx has ended
	h.server.Close()
}

// serve serves one request.
func (h *h2) serve(ctx context.Context, w http.ResponseWriter, req *http.Request) {
	parent := req.Context().Value(h2key{}).(*conn)
	h.r.conns.heard(parent)
	s := beginRequest(w, req)
	s.serve(ctx, &conn{r: h.r, nc: s, parent: parent, peer: parent.peer}, parent.wait.isCut)
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
	w.r.log.Warn("HTTP/2 connection failed", "error", string(line), "omitted", w.omitted.Swap(0))
	return len(p), nil
}
