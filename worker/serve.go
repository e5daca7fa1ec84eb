package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/internal/netio/handoff"
)

// The headers between routers and workers. They are believed from routers only, and never reach the app.
const (
	headerPrefix = "Sidereal-"
	headerClient = "Sidereal-Client" // ip:port of the true client
	headerProto  = "Sidereal-Proto"  // the scheme that the client used
	headerWorker = "Sidereal-Worker" // the id of the worker that is meant
	headerKey    = "Sidereal-Key"    // the app's secret, or the worker's key: whoever has it is a router
	headerRouter = "Sidereal-Router" // names the router's process
)

const (
	headTimeout = 10 * time.Second
	// idleTimeout is longer than any router keeps a connection for its next request, so that none meets one that closes.
	idleTimeout = 75 * time.Second
	// bodyTimeout is how long a client may send nothing in the middle of a body, as with a router.
	bodyTimeout = time.Minute
	maxHead     = 64 << 10
)

// peer is who is at the other end of a connection. Its fields belong to the one goroutine that serves the connection.
type peer struct {
	kind   handoff.Kind // 0: whoever came to our own port
	scheme string       // of a passed client
	router bool         // its headers are believed
	relay  string       // what the router calls itself
	served bool         // has had a request
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
			if passed, ok := c.(*handoff.Conn); ok {
				p.kind, p.scheme = passed.Kind(), passed.Scheme
				p.router = p.kind != handoff.Client
			}
			return context.WithValue(ctx, peerKey{}, p)
		},
	}
}

// debugLines takes what net/http has to say of single connections.
type debugLines struct{ log zerolog.Logger }

func (d debugLines) Write(line []byte) (int, error) {
	d.log.Debug().Msg(strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// serveRouters serves what comes over a handoff socket.
func (w *worker) serveRouters(s *lean) error {
	s.tasks.Go(s.accept)
	return w.serve(s)
}

// stop ends the serving: requests under way are answered until ctx ends.
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

// ServeHTTP is the way of the requests that net/http reads.
func (w *worker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	p, _ := r.Context().Value(peerKey{}).(*peer)
	if p == nil {
		p = &peer{} // not on our own http.Server
	}
	if r.ContentLength != 0 {
		defer timeBody(rw, r, bodyTimeout).leave()
	}
	told := takeSaid(r.Header)
	if told.router != "" && w.io.Engine().Handles(r) {
		rw = relayed{rw, p}
	}
	w.serveFrom(p, rw, r, told)
}

// relayed is the ResponseWriter of a request of Engine.IO that came over a router.
type relayed struct {
	http.ResponseWriter
	p *peer
}

func (w relayed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Relay names the router. A name that no router gave isn't believed, and counts as none.
func (w relayed) Relay() string { return w.p.relay }

// timedBody is a body that has to come on: after timeout without a byte, or if it takes timeout
// longer than at bodyRate, its connection is given up. Without that a client could hold a
// connection for ever with a byte now and then.
type timedBody struct {
	io.ReadCloser
	control *http.ResponseController
	timeout time.Duration
	began   time.Time
	read    int64
	over    bool
}

// bodyRate is how many bytes of a body have to come in a second, once timeout has passed.
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
		if err == io.EOF { // net/http reads on, to notice a client that leaves
			b.control.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// leave bounds what net/http still reads of a body that the handler didn't read to its end.
func (b *timedBody) leave() {
	if !b.over {
		b.control.SetReadDeadline(time.Now().Add(min(b.timeout, headTimeout)))
	}
}

// serveFrom is the way of every request into the server: it settles who asks, and that this worker is meant.
func (w *worker) serveFrom(p *peer, rw http.ResponseWriter, r *http.Request, told said) {
	if !w.admit(p, r, told) {
		// 421: a router that has an older table asks elsewhere. A passed client had its one upgrade: what it sends after
		// a refused one has been through no router.
		rw.Header().Set("Connection", "close")
		rw.WriteHeader(http.StatusMisdirectedRequest)
		return
	}
	if w.leaving.Load() && r.Header.Get("Upgrade") == "" {
		rw.Header().Set("Connection", "close") // whoever comes again shall do so elsewhere
	}
	w.io.ServeHTTP(rw, r)
}

// said is what a request's headers of ours say. They never reach the app.
type said struct{ client, proto, worker, key, router string }

// takeSaid takes our headers off.
func takeSaid(h http.Header) (told said) {
	for name, values := range h {
		if strings.HasPrefix(name, headerPrefix) {
			told.take(name, values[0])
			delete(h, name)
		}
	}
	return told
}

// take notes a field whose name, in canonical form, has our prefix.
func (s *said) take(name, value string) {
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

// admit takes over what a router says of the client, and reports whether the request is for this worker.
func (w *worker) admit(p *peer, r *http.Request, told said) bool {
	first := !p.served
	p.served = true
	switch {
	case p.kind == handoff.Client:
		if p.scheme == "https" {
			r.TLS = &tls.ConnectionState{HandshakeComplete: true}
		}
		return first
	case !p.router && first && told.key != "" && w.accepts != nil:
		p.router = w.accepts(r.Context(), told.key)
	}
	if !p.router {
		return true
	}
	if p.relay != told.router { // it stays the same
		p.relay = strings.Clone(told.router)
	}
	if told.client != "" {
		if addr, err := netip.ParseAddrPort(told.client); err == nil {
			r.RemoteAddr = addr.String()
		}
	}
	if told.proto == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true} // how net/http shows it; TLS itself ended before us
	}
	return told.worker == "" || told.worker == w.ID()
}
