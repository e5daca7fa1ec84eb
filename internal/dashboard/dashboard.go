package dashboard

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/inspect"
)

// Config says what a Dashboard shows, and what it may do.
type Config struct {
	Host    string // the name of this host
	App     string // empty if the host has several
	Version string

	// Source answers for the whole cluster.
	Source inspect.Source

	// Actor carries out actions. Nil means that there are none.
	Actor Actor

	// Key is what operators show for actions. Empty means that nobody may act.
	Key string

	Log *slog.Logger
}

// ShortestKey is the length of the shortest key, in bytes.
const ShortestKey = 16

// Dashboard serves the page. Run must run meanwhile.
type Dashboard struct {
	cfg    Config
	mux    *http.ServeMux
	guard  *guard
	jobs   chan *job
	wakeUp chan struct{} // somebody looks

	answers answers

	mu      sync.Mutex // guards what follows
	viewers map[*viewer]struct{}
	taps    int
	now     []byte        // JSON of the last view; nil before the first and when nobody looks
	points  []point       // the last 15 minutes
	records []record      // the last actions
	nobody  chan struct{} // closed when the last viewer leaves
}

// New makes a Dashboard. It starts nothing.
func New(cfg Config) (*Dashboard, error) {
	if cfg.Key != "" && len(cfg.Key) < ShortestKey {
		return nil, errors.New("dashboard: the key has less than 16 characters")
	}
	d := &Dashboard{
		cfg: cfg, mux: http.NewServeMux(), guard: newGuard(cfg.Key, time.Now), jobs: make(chan *job), wakeUp: make(chan struct{}, 1),
		viewers: map[*viewer]struct{}{}, answers: answers{kept: map[string]*kept{}},
	}
	d.mux.HandleFunc("GET /{$}", servePage)
	d.mux.HandleFunc("GET /dashboard/{file}", serveFile)
	d.mux.HandleFunc("GET /dashboard/live", d.live)
	d.mux.HandleFunc("GET /dashboard/namespaces", d.namespaces)
	d.mux.HandleFunc("GET /dashboard/rooms", d.rooms)
	d.mux.HandleFunc("GET /dashboard/clients", d.clients)
	d.mux.HandleFunc("GET /dashboard/ended", d.ended)
	d.mux.HandleFunc("GET /dashboard/tap", d.tap)
	d.mux.HandleFunc("POST /dashboard/act", d.act)
	return d, nil
}

// ServeHTTP implements http.Handler for "/" and the paths below "/dashboard/".
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	d.mux.ServeHTTP(w, r)
}

// Run collects while somebody looks, and carries out actions, until ctx ends. It returns when the
// actions have.
func (d *Dashboard) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { d.collect(ctx) })
	for {
		select {
		case j := <-d.jobs:
			parts.Go(func() { d.carryOut(ctx, j) })
		case <-ctx.Done():
			return nil
		}
	}
}
