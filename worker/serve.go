package worker

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/internal/handoff"
)

// The headers between routers and workers. They are believed from routers only, and never reach the app.
const (
	headerPrefix = "Sidereal-"
	headerClient = "Sidereal-Client" // ip:port of the true client
	headerProto  = "Sidereal-Proto"  // the scheme that the client used
	headerWorker = "Sidereal-Worker" // the id of the worker that is meant
	headerKey    = "Sidereal-Key"    // the app's secret: whoever has it is a router
)

const (
	headTimeout = 10 * time.Second
	// idleTimeout is longer than any router keeps a connection for its next request, so that none meets one that closes.
	idleTimeout = 75 * time.Second
	maxHead     = 64 << 10
)

// peer is who is at the other end of a connection. Its fields belong to the one goroutine that serves the connection.
type peer struct {
	kind   handoff.Kind // 0: whoever came to our own port
	scheme string       // of a passed client
	router bool         // its headers are believed
	served bool         // has had a request
}

type peerKey struct{}

func (w *Worker) newHTTPServer() *http.Server {
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

func (w *Worker) serve(l net.Listener) error {
	if err := w.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// ServeHTTP is the way of every request into the server: it settles who asks, and that this worker is meant.
func (w *Worker) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	p, _ := r.Context().Value(peerKey{}).(*peer)
	if p == nil {
		p = &peer{} // not on our own http.Server
	}
	if !w.admit(p, r) {
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

// admit takes over what a router says of the client, takes our headers off, and reports whether the request is for this
// worker.
func (w *Worker) admit(p *peer, r *http.Request) bool {
	var client, proto, worker, key string
	for name, values := range r.Header {
		if !strings.HasPrefix(name, headerPrefix) {
			continue
		}
		switch name {
		case headerClient:
			client = values[0]
		case headerProto:
			proto = values[0]
		case headerWorker:
			worker = values[0]
		case headerKey:
			key = values[0]
		}
		delete(r.Header, name)
	}
	first := !p.served
	p.served = true
	switch {
	case p.kind == handoff.Client:
		if p.scheme == "https" {
			r.TLS = &tls.ConnectionState{HandshakeComplete: true}
		}
		return first
	case !p.router && first && w.secret != "":
		p.router = subtle.ConstantTimeCompare([]byte(key), []byte(w.secret)) == 1
	}
	if !p.router {
		return true
	}
	if client != "" {
		if addr, err := netip.ParseAddrPort(client); err == nil {
			r.RemoteAddr = addr.String()
		}
	}
	if proto == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true} // how net/http shows it; TLS itself ended before us
	}
	return worker == "" || worker == w.ID()
}
