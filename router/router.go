package router

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio/relay"
)

// Directory is what a router asks about sids and workers: *directory.Directory,
// *directory.Upstreams and *directory.Static.
type Directory interface {
	// Owner finds the worker of a sid. It is called for every request with one.
	Owner(ctx context.Context, sid string) directory.Owner
	// Learn notes who owns a new session. It returns when other routers can know too, or when it
	// can't tell them.
	Learn(ctx context.Context, sid, workerID string, ttl time.Duration)
	// Touch notes that a session was used.
	Touch(sid string)
	// Workers is the current table.
	Workers() *directory.Table
	// Changed returns a channel that is closed when the table has changed.
	Changed() <-chan struct{}
	// Secret is what routers show each other.
	Secret(ctx context.Context) (string, error)
	// Secrets is Secret, once that is known, and earlier ones that other routers may still go by.
	Secrets() []string
	// Accepts reports whether a router that shows this is one of ours. For one that is not known it
	// may ask Redis, at a bounded rate.
	Accepts(ctx context.Context, shown string) bool
	// WorkerGone notes that a worker is dead.
	WorkerGone(id string)
	// Opened notes that this router opened a session.
	Opened()
	// OpenedRatio tells how many sessions all routers opened lately for each of this one. 0: nobody
	// knows.
	OpenedRatio() float64
}

var (
	_ Directory = (*directory.Directory)(nil)
	_ Directory = (*directory.Upstreams)(nil)
	_ Directory = (*directory.Static)(nil)
)

// Router is one host's door.
type Router struct {
	cfg     Config
	id      string // of this process, which workers tell routers apart by
	log     *slog.Logger
	balance balancer
	metrics *metrics
	watcher *watcher
	pairs   *relay.Pairs

	workers workers
	conns   *connections

	recognized chan *conn // by a Listener, and counted by conns
	budget     budget     // of file descriptors

	tls         *tls.Config
	mux         multiplexer // of HTTP/2; nil: none
	keyring     keyring
	upgradeTime time.Duration // upgradeTimeout, but in a test

	proxies     proxies
	proxyWarned atomic.Int64 // Unix seconds
	origins     origins
	addresses   addresses
	hellos      pace // TLS handshakes
	access      accessLog

	listening atomic.Bool
	draining  atomic.Bool
	cutting   atomic.Bool // the drain takes too long
}

// newID returns a new id of this process. It ends with the name of the host, if a header field can
// have that: workers tell operators which router a client came through.
func newID(host string) string {
	id := strconv.FormatUint(rand.Uint64(), 36)
	if host == "" || len(host) > 64 || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ',' }) {
		return id
	}
	return id + "@" + host
}

// New checks cfg and makes a Router. It starts nothing.
func New(cfg Config) (*Router, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Router{
		cfg: cfg, id: newID(cfg.HostName), log: cfg.Log, upgradeTime: upgradeTimeout,
		pairs: relay.New(writeTimeout), proxies: cfg.TrustedProxies, keyring: keyring{directory: cfg.Directory},
	}
	r.workers.r = r
	r.balance.init(&r.cfg, r.workers.of)
	r.origins, _ = parseOrigins(cfg.AllowedOrigins)
	r.access.init(&r.cfg)
	if r.metrics, err = newMetrics(cfg.Metrics); err != nil {
		return nil, fmt.Errorf("router: register metrics: %w", err)
	}
	r.conns, r.recognized = newConnections(&r.cfg, r.metrics), make(chan *conn)
	r.budget.init(&r.cfg, r.metrics, r.conns, r.workers.tidy)
	r.tls = &tls.Config{GetConfigForClient: r.tlsFor}
	if cfg.Certificates != nil && !cfg.HTTP1Only {
		r.mux = newHTTP2(r)
	}
	return r, nil
}

// Ready reports whether new clients can be served, and what is missing.
func (r *Router) Ready() (ok bool, why string) {
	switch {
	case r.draining.Load():
		return false, "draining"
	case !r.listening.Load():
		return false, "not listening"
	case len(r.balance.ready(nil)) == 0:
		return false, "no worker is ready"
	}
	return true, ""
}

// Connections is how many connections this router holds. Those that were passed to workers are not
// among them.
func (r *Router) Connections() int { return r.conns.count() }

// Serve serves the listeners, clients and other hosts' routers alike, until ctx ends; then it
// drains and returns nil. It returns early when a listener fails for good. It closes the listeners.
// Without any it serves what comes by [Router.ServeHTTP]. Call it once.
func (r *Router) Serve(ctx context.Context, listeners ...net.Listener) error {
	hard, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx, for the drain
	defer stop()
	var err error
	if r.watcher, err = newWatcher(); err != nil {
		for _, ln := range listeners {
			ln.Close()
		}
		return fmt.Errorf("router: %w", err)
	}
	var background, accepting sync.WaitGroup
	background.Go(func() { r.watcher.run(hard) })
	background.Go(func() { r.tidy(hard) })
	background.Go(func() { r.workers.linkLocal(hard) })
	background.Go(func() {
		for c := range r.recognized {
			r.serve(hard, c)
		}
	})
	if r.cfg.Certificates != nil {
		background.Go(func() { r.cfg.Certificates.watch(hard, r.log) })
	}
	if r.mux != nil {
		background.Go(func() { r.mux.run(hard) })
	}
	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		accepting.Go(func() {
			if err := r.accept(hard, ln); err != nil {
				failed <- fmt.Errorf("router: accept on %s: %w", ln.Addr(), err)
			}
		})
		if addr := ln.Addr().String(); addr != "" { // one without is for sockets that come later
			r.log.Info("router listens", "addr", addr)
		}
	}
	r.listening.Store(true)
	select {
	case <-ctx.Done():
		r.delay(hard)
	case err = <-failed:
	}
	r.listening.Store(false)
	r.draining.Store(true)
	for _, ln := range listeners {
		ln.Close()
	}
	accepting.Wait()
	if r.mux != nil {
		background.Go(func() { r.mux.drain(hard) })
	}
	r.drain(stop)
	close(r.recognized) // conns counts nobody any more
	r.pairs.Close()
	r.workers.stopped.Store(true)
	stop()
	background.Wait()
	r.workers.close()
	r.log.Info("router stopped")
	return err
}

// accept takes connections until the listener is closed.
func (r *Router) accept(ctx context.Context, ln net.Listener) error {
	_, redirects := ln.(redirecting)
	pause := time.Duration(0)
	for {
		nc, err := ln.Accept()
		if err == nil {
			pause = 0
			r.take(ctx, nc, redirects)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if !passes(err) {
			return err
		}
		// Out of descriptors, though the router had some to spare by its own count: somebody else
		// in this process has them. The router accepts the connections in
		// the kernel's queue when others have given way.
		r.metrics.acceptErrors.Inc()
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		if outOfDescriptors(err) && r.budget.shortage() {
			pause = time.Millisecond
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// passes tells an accept error of the moment (no descriptors, no memory, a connection that was
// reset while it waited) from a listener that is no good.
func passes(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno != syscall.EBADF && errno != syscall.EINVAL && errno != syscall.ENOTSOCK && errno != syscall.EOPNOTSUPP
	}
	return isTimeout(err)
}

func (r *Router) take(ctx context.Context, nc net.Conn, redirects bool) {
	c := r.newConn(nc)
	c.redirects = redirects
	l := byDescriptors
	if r.budget.makeWay() {
		l = r.conns.letIn(c)
	}
	if l != unlimited {
		r.turnOut(nc, l)
		return
	}
	r.serve(ctx, c)
}

// serve serves a connection that conns counts, on a goroutine of its own.
func (r *Router) serve(ctx context.Context, c *conn) {
	go func() {
		defer r.conns.serving.Done()
		c.serve(ctx)
	}()
}

// tidy closes what was idle too long, until ctx ends.
func (r *Router) tidy(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			r.workers.tidy(now, false)
			r.budget.restore()
			r.pairs.Expire(now)
		case <-ctx.Done():
			return
		}
	}
}

// seldom reports whether 10 s have passed since it last did.
func seldom(last *atomic.Int64) bool {
	now, before := time.Now().Unix(), last.Load()
	return now-before >= 10 && last.CompareAndSwap(before, now)
}
