package router

import (
	"bufio"
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio/http1"
)

var _ http.Handler = (*Router)(nil)

// ServeHTTP serves one request that another server has read: a Go program's own, which has the
// router beside its pages. [Router.Serve] has to run, with listeners of its own or without. A
// WebSocket's connection is taken over, and passed to its worker where that is possible; the rest
// is forwarded. The server must not have changed the request: its RequestURI is what counts, and
// its RemoteAddr and TLS are the client. Other hosts' routers cannot come in here: they need the
// door of a listener.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if isUpgrade(req) {
		r.takeOver(w, req)
		return
	}
	s := beginRequest(w, req)
	c := &conn{r: r, nc: s, accepted: time.Now(), peer: r.proxies.peer(clientOf(req))}
	if !r.enter(c) {
		s.end()
		refuseIdle(w)
		return
	}
	defer r.conns.serving.Done()
	defer r.conns.forget(c) // also if something panics
	if r.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	// A request may start work for others, which must not end with it.
	s.serve(context.WithoutCancel(req.Context()), c, c.wait.isCut)
}

func refuseIdle(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "the router does not run", http.StatusServiceUnavailable)
}

// enter counts c among the connections that a drain waits for, until forget and serving.Done. It
// returns false if the router doesn't run.
func (r *Router) enter(c *conn) bool { return r.runs() && r.conns.join(c) }

func (r *Router) runs() bool {
	return (r.listening.Load() || r.draining.Load()) && !r.cutting.Load()
}

// clientOf is who sent a request that net/http has read.
func clientOf(req *http.Request) client {
	o := client{https: req.TLS != nil}
	if a, err := netip.ParseAddrPort(req.RemoteAddr); err == nil {
		o.addr = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return o
}

// isUpgrade reports whether a request asks for a WebSocket, over a connection that it may have for
// itself.
func isUpgrade(req *http.Request) bool {
	return req.ProtoMajor == 1 && strings.EqualFold(req.Header.Get("Upgrade"), "websocket")
}

// takeOver serves an upgrade with the connection that it came on, as its last request.
func (r *Router) takeOver(w http.ResponseWriter, req *http.Request) {
	if !r.runs() {
		refuseIdle(w)
		return
	}
	s := beginRequest(w, req)
	defer s.end()
	if !s.compose() {
		http.Error(w, http1.ErrLine.Why, http.StatusBadRequest)
		return
	}
	nc, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "this server does not give connections away", http.StatusNotImplemented)
		return
	}
	nc.SetDeadline(time.Time{})
	c := r.newConn(nc)
	c.peer.client, c.peer.awaitsProxy, c.last = clientOf(req), false, true
	if !r.enter(c) {
		nc.Close()
		return
	}
	defer r.conns.serving.Done()
	c.taken(append(s.text[:len(s.text)-2], "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"...), buffered.Reader)
	s.text = nil
	c.serve(context.WithoutCancel(req.Context()))
}

// taken puts what somebody else has read of a connection before what is still to be read. It takes
// head over.
func (c *conn) taken(head []byte, rest *bufio.Reader) {
	more, _ := rest.Peek(rest.Buffered())
	head = append(bufpool.Grow(head, len(more)), more...)
	c.Preload(head)
}
