package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config says what an operator can see.
type Config struct {
	// Ready returns nil while the process serves, and otherwise why it doesn't. Nil: always ready.
	Ready func(ctx context.Context) error

	// Status describes the process or host. The server adds pid and readiness. Nil: no description.
	Status func(ctx context.Context) Status

	// Cluster describes all hosts, for /cluster. Trace says who owns a sid, for /trace?sid=. Both
	// answer as JSON. Nil: no such page.
	Cluster func(ctx context.Context) (any, error)
	Trace   func(ctx context.Context, sid string) (any, error)

	// Page serves / and the paths below /dashboard/. Nil: / shows the status.
	Page http.Handler

	// Inspect serves the paths below /inspect/. Nil: no such paths.
	Inspect http.Handler

	// Plug serves the demo's page "Pull the plug", below /plug/. Nil: no such page.
	Plug http.Handler

	// Gatherer has the metrics. Nil: no metrics.
	Gatherer prometheus.Gatherer
}

// Status is the answer of /status, and the content of the page.
type Status struct {
	Role      string    `json:"role"` // up, router, worker
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	Version   string    `json:"version"`
	Started   time.Time `json:"started"`
	Addr      string    `json:"addr,omitempty"`      // public
	Advertise string    `json:"advertise,omitempty"` // for other hosts
	App       string    `json:"app,omitempty"`
	Redis     string    `json:"redis,omitempty"` // without secrets
	Ready     bool      `json:"ready"`
	Reason    string    `json:"reason,omitempty"` // why it isn't
	Problems  []string  `json:"problems,omitempty"`
	Processes []Process `json:"processes,omitempty"`
	Workers   []Worker  `json:"workers,omitempty"` // of the whole cluster, as the directory has them
}

// Process is a child of this host's supervisor.
type Process struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	PID      int       `json:"pid,omitempty"`
	Worker   string    `json:"worker,omitempty"` // the worker's id, if it is one
	Started  time.Time `json:"started,omitzero"`
	Restarts int       `json:"restarts"`
}

// Worker is a worker of the cluster.
type Worker struct {
	ID      string `json:"id"`
	Slot    int    `json:"slot"`
	Host    string `json:"host"`
	Addr    string `json:"addr"`
	PID     int    `json:"pid"`
	State   string `json:"state"`
	Clients int    `json:"clients"`
	Version string `json:"version"`
}

// Server serves one Config.
type Server struct {
	cfg  Config
	http *http.Server
}

// New makes a Server. It doesn't listen yet.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /status", s.status)
	if cfg.Page != nil {
		mux.Handle("/{$}", cfg.Page)
		mux.Handle("/dashboard/", cfg.Page)
	} else {
		mux.HandleFunc("GET /{$}", s.page)
	}
	if cfg.Cluster != nil {
		mux.HandleFunc("GET /cluster", func(w http.ResponseWriter, r *http.Request) {
			found, err := cfg.Cluster(r.Context())
			answer(w, found, err)
		})
	}
	if cfg.Trace != nil {
		mux.HandleFunc("GET /trace", func(w http.ResponseWriter, r *http.Request) {
			found, err := cfg.Trace(r.Context(), r.URL.Query().Get("sid"))
			answer(w, found, err)
		})
	}
	if cfg.Inspect != nil {
		mux.Handle("/inspect/", cfg.Inspect)
	}
	if cfg.Plug != nil {
		mux.Handle("/plug/", cfg.Plug)
	}
	if cfg.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(cfg.Gatherer, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	}
	s.http = &http.Server{Handler: ownHost(mux), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	return s
}

// Run serves a listener until ctx ends. It closes the listener.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	stopped := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(stopped)
		s.http.Close()
	})()
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-stopped
	return nil
}

func (s *Server) ready(ctx context.Context) error {
	if s.cfg.Ready == nil {
		return nil
	}
	return s.cfg.Ready(ctx)
}

func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if err := s.ready(r.Context()); err != nil {
		text(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	text(w, http.StatusOK, "ready")
}

func (s *Server) current(ctx context.Context) Status {
	var st Status
	if s.cfg.Status != nil {
		st = s.cfg.Status(ctx)
	}
	st.PID = os.Getpid()
	err := s.ready(ctx)
	if st.Ready = err == nil; err != nil {
		st.Reason = err.Error()
	}
	return st
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	answer(w, s.current(r.Context()), nil)
}

// answer writes found as JSON, or err with status 503.
func answer(w http.ResponseWriter, found any, err error) {
	if err != nil {
		text(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(found) // an error means that the reader left
}

func text(w http.ResponseWriter, code int, line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	w.Write([]byte(line + "\n"))
}

// Registry returns a registry with the metrics of the Go runtime and of this process.
func Registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
