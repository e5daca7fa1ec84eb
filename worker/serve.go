package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// The header fields between routers and workers. The worker believes them only from routers, and
// the app never sees them.
const (
	headerPrefix = "Sidereal-"
	headerClient = "Sidereal-Client" // ip:port of the client
	headerProto  = "Sidereal-Proto"  // the scheme that the client used
	headerWorker = "Sidereal-Worker" // the id of the worker that the router wants
	headerKey    = "Sidereal-Key"    // the app's secret, or the worker's key: it proves a router
	headerRouter = "Sidereal-Router" // names the router's process
)

const (
	headTimeout = 10 * time.Second
	// idleTimeout is longer than a router keeps a connection for its next request, so that no
	// request meets a connection that closes.
	idleTimeout = 75 * time.Second
	// bodyTimeout limits a client's silence in the middle of a body, as in the router.
	bodyTimeout = time.Minute
	maxHead     = 64 << 10
)

// peer is the other end of a connection. Only the goroutine that serves the connection uses its
// fields.
type peer struct {
	kind   handoff.Kind // 0: it came to the worker's own port
	scheme string       // of a passed client
	router bool         // the worker believes its claims
	relay  string       // what the router calls itself
	hears  *hears       // of a connection that net/http serves; nil: it can't tell
	served bool         // it has sent a request
}

type peerKey struct{}

func (w *worker) newHTTPServer() *http.Server {
	return &http.Server{
		Handler:           w,
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          log.New(debugLines{w.log}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			p := &peer{}
			switch c := c.(type) {
			case *handoff.Conn:
				p.kind, p.scheme = c.Kind(), c.Scheme
			case *routerConn:
				p.kind, p.router, p.hears = c.Kind(), true, &c.hears
			case *portConn:
				p.hears = &c.hears
			}
			return context.WithValue(ctx, peerKey{}, p)
		},
	}
}

// debugLines logs what net/http says about single connections.
type debugLines struct{ log *slog.Logger }

func (d debugLines) Write(line []byte) (int, error) {
	d.log.Debug(strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// stop ends the serving. It answers requests under way until ctx ends.
func (w *worker) stop(ctx context.Context) (err error) {
	if w.routers != nil {
		err = w.routers.shutdown(ctx)
	}
	if shut := w.http.Shutdown(ctx); shut != nil {
		err = errors.Join(err, w.http.Close())
	}
	return err
}

// abort ends the serving at once.
func (w *worker) abort(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return w.stop(ctx)
}

func (w *worker) serve(l net.Listener) error {
	if err := w.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP serves the requests that net/http reads.
func (w *worker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	p, _ := r.Context().Value(peerKey{}).(*peer)
	if p == nil {
		p = &peer{} // a server of the app's own
	}
	if r.ContentLength != 0 {
		defer timeBody(rw, r, bodyTimeout).leave()
	}
	claim := takeClaims(r.Header)
	if claim.router != "" && w.io.Engine().Handles(r) {
		rw = relayed{rw, p}
	}
	w.serveFrom(p, rw, r, claim)
}

// relayed is the ResponseWriter of a request of Engine.IO that came over a router.
type relayed struct {
	http.ResponseWriter
	p *peer
}

func (w relayed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Relay names the router. A name that no router gave isn't believed, and counts as none.
func (w relayed) Relay() string { return w.p.relay }

// ClientLeft reports whether the router has said so before it closed the connection.
func (w relayed) ClientLeft() bool { return w.p.hears == nil || w.p.hears.left.Load() }

// timedBody limits the time that a body takes. Its connection ends after timeout without a byte, or
// if the body takes timeout longer than at bodyRate. Else a client could hold a connection forever
// with a byte now and then.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	timeout time.Duration
	began   time.Time
	read    int64
	over    bool
}

// bodyRate is the least number of bytes per second of a body, once timeout has passed.
const bodyRate = 1 << 10

func timeBody(rw http.ResponseWriter, r *http.Request, timeout time.Duration) *timedBody {
	b := &timedBody{ReadCloser: r.Body, control: http.NewResponseController(rw), timeout: timeout, began: time.Now()}
	r.Body = b
	return b
}

func (b *timedBody) Read(p []byte) (int, error) {
	now := time.Now()
	latest := b.began.Add(b.timeout + time.Duration(b.read)*time.Second/bodyRate)
	if next := now.Add(b.timeout); next.Before(latest) {
		latest = next
	}
	b.control.SetReadDeadline(latest)
	n, err := b.ReadCloser.Read(p)
	if b.read += int64(n); err != nil {
		b.over = true
		if err == io.EOF { // net/http reads on, to notice that the client leaves
			b.control.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// leave limits how long net/http reads the rest of a body that the handler didn't read.
func (b *timedBody) leave() {
	if !b.over {
		b.control.SetReadDeadline(time.Now().Add(min(b.timeout, headTimeout)))
	}
}

// serveFrom serves every request, after it has settled who sends it and that it is for this worker.
func (w *worker) serveFrom(p *peer, rw http.ResponseWriter, r *http.Request, claim claims) {
	if !w.admit(p, r, claim) {
		// 421: a router with an older table asks another worker. A passed client has one request,
		// its upgrade; no router has seen a second one.
		rw.Header().Set("Connection", "close")
		rw.WriteHeader(http.StatusMisdirectedRequest)
		return
	}
	if w.leaving.Load() && r.Header.Get("Upgrade") == "" {
		rw.Header().Set("Connection", "close") // the client reconnects elsewhere
	}
	w.io.ServeHTTP(rw, r)
}

// claims are what a router says about a request in our header fields.
type claims struct{ client, proto, worker, key, router string }

// takeClaims removes our fields from a header, and returns them.
func takeClaims(h http.Header) (claim claims) {
	for name, values := range h {
		if strings.HasPrefix(name, headerPrefix) {
			claim.take(name, values[0])
			delete(h, name)
		}
	}
	return claim
}

// take notes a field. Its name is in canonical form and has our prefix.
func (s *claims) take(name, value string) {
	switch name {
	case headerClient:
		s.client = value
	case headerProto:
		s.proto = value
	case headerWorker:
		s.worker = value
	case headerKey:
		s.key = value
	case headerRouter:
		s.router = value
	}
}

// admit applies a router's claims to the request, and reports whether it is for this worker.
func (w *worker) admit(p *peer, r *http.Request, claim claims) bool {
	first := !p.served
	p.served = true
	switch {
	case p.kind == handoff.Client:
		if p.scheme == "https" {
			r.TLS = &tls.ConnectionState{HandshakeComplete: true}
		}
		return first
	case !p.router && first && claim.key != "" && w.accepts != nil:
		p.router = w.accepts(r.Context(), claim.key)
	}
	if !p.router {
		return true
	}
	if p.relay != claim.router { // it stays the same
		p.relay = strings.Clone(claim.router)
	}
	if claim.client != "" {
		if addr, err := netip.ParseAddrPort(claim.client); err == nil {
			r.RemoteAddr = addr.String()
		}
	}
	if claim.proto == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true} // as net/http does; TLS ended at the router
	}
	return claim.worker == "" || claim.worker == w.ID()
}
