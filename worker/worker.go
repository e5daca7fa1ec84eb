package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/transport"
	"github.com/sidereal-io/sidereal/socketio"
)

// Worker is one worker process around a server.
type Worker struct {
	cfg     Config
	set     Settings // of cfg
	log     zerolog.Logger
	app     App
	started time.Time
	metrics *prometheus.Registry
	io      *socketio.Server
	conn    *redisconn.Conn // nil: no Redis
	cluster *adapter.Redis  // nil: in memory, or the caller's own
	http    *http.Server
	routers *lean // nil: no handoff socket. Set before serving

	id      atomic.Pointer[string] // once registered
	unfit   atomic.Pointer[string] // why it is not ready; nil: it is
	addr    atomic.Pointer[string] // where it listens, once it does
	leaving atomic.Bool            // every response ends its connection
	accepts func(key string) bool  // whether who shows that on our port is a router; nil: there are none. Set before serving
}

// Info says which worker this is.
type Info struct {
	ID   string // of this incarnation; its sids begin with it
	Slot int    // its number on the host, from 1
	Host string // SIDEREAL_HOST_NAME
}

type infoKey struct{}

// InfoFrom returns the Info of the worker whose app got ctx, and the zero Info for any other context.
func InfoFrom(ctx context.Context) Info {
	info, _ := ctx.Value(infoKey{}).(Info)
	return info
}

// New checks cfg and makes a worker. It dials nothing and listens on nothing.
func New(cfg Config, app App) (*Worker, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Version == "" {
		cfg.Version = mainVersion()
	}
	w := &Worker{
		cfg: cfg, set: cfg.Settings, log: cfg.Log, app: app, started: time.Now(),
		metrics: prometheus.NewRegistry(),
	}
	w.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	w.setUnfit("starting")
	if w.set.RedisURL != "" {
		conn, err := w.set.Redis.Open(w.log, w.metrics)
		if err != nil {
			return nil, err
		}
		w.conn = conn
	}
	var err error
	if w.io, err = w.newServer(); err != nil {
		return nil, errors.Join(err, w.closeConn())
	}
	w.http = w.newHTTPServer()
	return w, nil
}

// newServer makes the Socket.IO server, adding what the caller left to the worker.
func (w *Worker) newServer() (*socketio.Server, error) {
	cfg := w.cfg.SocketIO
	cfg.Log = w.log
	if cfg.Path == "" {
		cfg.Path = w.set.Path
	}
	if cfg.Metrics == nil {
		cfg.Metrics = w.metrics
	}
	if cfg.NewSID == nil {
		cfg.NewSID = func(*http.Request) (string, error) { return directory.MintSID(w.ID()), nil }
	}
	if cfg.Recovery == nil && w.set.Recovery > 0 {
		cfg.Recovery = &socketio.Recovery{MaxDisconnection: w.set.Recovery}
	}
	if cfg.Adapter == nil && w.conn != nil && w.set.Adapter != transport.Memory {
		cluster, err := w.newCluster()
		if err != nil {
			return nil, err
		}
		w.cluster, cfg.Adapter = cluster, cluster
	}
	return socketio.New(cfg)
}

func (w *Worker) newCluster() (*adapter.Redis, error) {
	return transport.New(w.set.Cluster, adapter.Config{
		Conn: w.conn, Name: fmt.Sprintf("%s/%d", w.set.HostName, max(w.set.Slot, 1)), Version: w.cfg.Version,
		Log: w.log, Metrics: w.metrics,
	})
}

// problem puts what only an operator can mend into one line with the variable that is wrong.
func (w *Worker) problem(err error) error {
	return transport.Problem(w.set.Cluster, w.set.Redis, err)
}

// ID is the worker's id; empty before it has one.
func (w *Worker) ID() string {
	if id := w.id.Load(); id != nil {
		return *id
	}
	return ""
}

// Addr is the address that the worker serves; empty before it does, and under a supervisor.
func (w *Worker) Addr() string {
	if addr := w.addr.Load(); addr != nil {
		return *addr
	}
	return ""
}

// Ready returns nil while the worker serves, and otherwise why it does not.
func (w *Worker) Ready(context.Context) error {
	if why := w.unfit.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

func (w *Worker) setUnfit(why string) { w.unfit.Store(&why) }

// Run serves until ctx ends, then drains, for SIDEREAL_SHUTDOWN_TIMEOUT at most, and returns when nothing of the worker is
// left. A worker whose supervisor is gone ends the process on the spot. Call it once.
func (w *Worker) Run(ctx context.Context) (err error) {
	line, err := lifeline.Open(w.set.SupervisorFD)
	if err != nil {
		return err
	}
	ps := newParts(context.WithoutCancel(ctx))
	defer func() {
		err = errors.Join(err, ps.stop(), w.closeConn())
	}()
	ps.start("line", func(ctx context.Context) error {
		if err := line.Run(ctx); err != nil {
			w.log.Error().Err(err).Msg("worker ends at once")
			os.Exit(config.ExitFailed)
		}
		return nil
	})
	publish, err := w.startAdmin(ctx, ps)
	if err != nil {
		return err
	}
	m, err := w.join(ctx, ps)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	ps.start("server", w.io.Run)
	info := Info{ID: w.ID(), Slot: w.set.Slot, Host: w.set.HostName}
	appCtx, endApp := context.WithCancel(context.WithValue(ps.ctx, infoKey{}, info))
	defer endApp()
	if err := w.app(appCtx, w.io); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	if w.cluster != nil {
		if err := w.cluster.Wait(ctx); err != nil {
			return unlessStopped(ctx, w.problem(err))
		}
	}
	if err := w.startServing(ctx, ps, m); err != nil {
		return err
	}
	w.unfit.Store(nil)
	if err := publish(); err != nil {
		return err
	}
	report(line, lifeline.Worker, w.ID())
	report(line, lifeline.Ready, "1")

	select {
	case err := <-ps.failed:
		w.setUnfit("failed")
		return errors.Join(err, w.abort())
	case <-ctx.Done():
		w.setUnfit("draining")
		report(line, lifeline.Draining, "1")
		return w.drain(ps.ctx, m)
	}
}

// report tells the supervisor; where nobody listens, the line's Run knows.
func report(line *lifeline.Line, key, value string) { _ = line.Report(key, value) }

// unlessStopped takes the error of a start that the end of ctx cut short for what it is: none.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (w *Worker) closeConn() error {
	if w.conn == nil {
		return nil
	}
	return w.conn.Close()
}
