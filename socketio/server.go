package socketio

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/flight"
	"github.com/sidereal-io/sidereal/internal/wheel"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// tick is the precision of timeouts.
const tick = 10 * time.Millisecond

// Server is a Socket.IO server and an http.Handler. It is also its main namespace, "/", so that
// io.On and io.Emit act on that. Its methods may be called concurrently, but Run only once.
type Server struct {
	*Namespace

	cfg      Config
	engine   *engineio.Server
	metrics  *metrics
	notices  notices
	partials partials
	wheel    *wheel.Wheel
	pages    *http.ServeMux
	bundle   *bundle
	work     work
	life     *root
	recorder atomic.Pointer[flight.Recorder]
	faults   faults
	endLife  context.CancelFunc
	shutdown shutdown

	mu          sync.Mutex
	namespaces  map[string]*Namespace
	parents     []*Namespace // namespaces that are patterns, in the order in which they are tried
	onNamespace []func(*Namespace)
	failed      error // why a namespace is not linked to the cluster
}

// New checks cfg and returns a server. It starts nothing.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, wheel: wheel.New(tick), pages: http.NewServeMux(), namespaces: make(map[string]*Namespace),
		bundle: newBundle(cfg.ClientBundle), notices: newNotices(), partials: partials{most: cfg.MaxPartialBytes},
	}
	life, endLife := context.WithCancel(context.Background())
	s.recorder.Store(new(flight.Recorder))
	s.life, s.endLife, s.shutdown = &root{Context: life}, endLife, newShutdown()
	if s.metrics, err = newMetrics(cfg.Metrics); err != nil {
		return nil, fmt.Errorf("socketio: register metrics: %w", err)
	}
	open := func(session *engineio.Session) engineio.Receiver { return newClient(s, session) }
	if s.engine, err = engineio.New(cfg.engine(open)); err != nil {
		return nil, err
	}
	if s.Namespace, err = s.addLocked("/", nil); err != nil {
		return nil, err
	}
	return s, nil
}

// Run serves until ctx ends or Shutdown is called. Then it closes all sessions, which ends the
// contexts of handlers, waits for the handlers and the functions of Go, calls the functions of
// OnShutdown, and leaves the cluster. A function that ignores its context delays the return of Run;
// only Shutdown limits that.
func (s *Server) Run(ctx context.Context) error {
	defer close(s.shutdown.ended)
	soft, end := context.WithCancel(ctx)
	defer end()
	s.start(ctx, end)
	hard, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx, since ending sockets still publish
	defer stop()
	g, hard := errgroup.WithContext(hard)
	g.Go(func() error { return s.wheel.Run(hard) })
	if s.cfg.Adapter != nil {
		g.Go(func() error { return s.cfg.Adapter.Run(hard) })
	}
	defer context.AfterFunc(hard, end)() // a part failed
	err := errors.Join(s.end(soft), s.callHooks(ctx))
	s.mu.Lock()
	namespaces := slices.Collect(maps.Values(s.namespaces))
	failed := s.failed
	s.mu.Unlock()
	for _, n := range namespaces {
		if n.adapter != nil {
			err = errors.Join(err, n.adapter.Close())
		}
	}
	stop()
	failure := g.Wait()
	if !errors.Is(failure, context.Canceled) {
		err = errors.Join(err, failure)
	}
	return errors.Join(err, failed)
}

// Drain refuses new sessions and closes the open ones, perSecond of them each second, so that their
// clients reconnect elsewhere. It closes clients whose handlers are at work last, when they are
// done or after 2 seconds. It returns when no session is left, or with the error of ctx.
func (s *Server) Drain(ctx context.Context, perSecond int) error {
	return s.engine.Drain(ctx, perSecond)
}

// Engine returns the Engine.IO server below.
func (s *Server) Engine() *engineio.Server { return s.engine }

// Handle serves a page of the app on the same port. Patterns are those of http.ServeMux; they never
// match targets below Config.Path.
func (s *Server) Handle(pattern string, h http.Handler) { s.pages.Handle(pattern, h) }

// Handles reports whether r is a client's: whether its target begins with Config.Path. It helps to
// route without an http.ServeMux, which would clean the target.
func (s *Server) Handles(r *http.Request) bool { return s.engine.Handles(r) }

// ServeHTTP serves clients and client bundles below Config.Path, and the pages of Handle elsewhere.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.engine.Handles(r) {
		s.serveElsewhere(w, r)
		return
	}
	if name := s.bundleName(r); name != "" {
		if s.cfg.CORS == nil || !s.cfg.CORS.Apply(w, r) {
			s.bundle.serve(w, r, name)
		}
		return
	}
	s.engine.ServeHTTP(w, r)
}

// serveElsewhere serves the app's pages. Like Node's server it doesn't answer a request to upgrade
// that is for none of them.
func (s *Server) serveElsewhere(w http.ResponseWriter, r *http.Request) {
	if s.cfg.DestroyUpgradeTimeout > 0 && r.Header.Get("Upgrade") != "" {
		if _, pattern := s.pages.Handler(r); pattern == "" {
			patience := time.NewTimer(s.cfg.DestroyUpgradeTimeout)
			defer patience.Stop()
			select {
			case <-patience.C:
			case <-r.Context().Done():
			case <-s.life.Done():
			}
			panic(http.ErrAbortHandler)
		}
	}
	s.pages.ServeHTTP(w, r)
}

// Of returns the namespace with that name. It makes the namespace if there is none. The leading
// slash may be missing.
func (s *Server) Of(name string) *Namespace {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	s.mu.Lock()
	n := s.namespaces[name]
	if n != nil {
		s.mu.Unlock()
		return n
	}
	var parent *Namespace
	for _, p := range s.parents {
		if p.pattern.regexp != nil && p.pattern.regexp.MatchString(name) {
			parent = p
			break
		}
	}
	n, err := s.addLocked(name, parent)
	if err != nil {
		s.failed = errors.Join(s.failed, err)
		s.cfg.Log.Error("namespace is not linked to the cluster", "namespace", name, "error", err)
	}
	told := s.onNamespace
	s.mu.Unlock()
	for _, f := range told {
		f(n)
	}
	return n
}

// Namespaces yields the present namespaces.
func (s *Server) Namespaces() iter.Seq[*Namespace] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Values(maps.Clone(s.namespaces))
}

// OnNamespace calls f for each namespace that is made from now on.
func (s *Server) OnNamespace(f func(n *Namespace)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onNamespace = with(s.onNamespace, f)
}

// addLocked makes a namespace, of a parent if there is one. If it returns an error, the namespace
// exists, but isn't linked to the cluster.
func (s *Server) addLocked(name string, parent *Namespace) (*Namespace, error) {
	r := new(registry)
	if parent != nil {
		r = parent.registry.Load()
	}
	n := newNamespace(s, name, r)
	if n.parent = parent; parent != nil {
		parent.children[name] = n
		n.rooms.watch(len(r.rooms))
	}
	s.namespaces[name] = n
	if s.cfg.Adapter == nil {
		if s.cfg.Recovery != nil {
			n.recovery = newMemory(n, *s.cfg.Recovery)
		}
		return n, nil
	}
	adapter, err := s.cfg.Adapter.Open(local{n})
	if err != nil {
		return n, fmt.Errorf("socketio: link namespace %s: %w", name, err)
	}
	n.adapter = adapter
	if s.cfg.Recovery == nil {
		return n, nil
	}
	if a, ok := adapter.(cluster.RecoveringAdapter); ok {
		n.recovery = a.Recover(s.cfg.Recovery.MaxDisconnection, s.cfg.Recovery.MaxBytes, n.gone)
	} else if name == "/" {
		s.cfg.Log.Warn("connection state recovery is off: the adapter doesn't support it")
	}
	return n, nil
}
