package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/socketio"
)

// worker is a server with its place in the cluster.
type worker struct {
	cfg     Config
	log     *slog.Logger
	app     App
	started time.Time
	metrics *prometheus.Registry
	io      *socketio.Server
	conn    *redisconn.Conn  // nil: no Redis
	cluster *adapter.Adapter // nil: in memory, or SocketIO.Adapter
	http    *http.Server
	routers *pollServer // nil without a handoff socket; set before serving

	id      atomic.Pointer[string] // set once it is known
	unfit   atomic.Pointer[string] // why the worker isn't ready; nil: it is
	addr    atomic.Pointer[string] // where it listens, once it does
	leaving atomic.Bool            // each response closes its connection
	// accepts reports whether a connection to the worker's own port that shows key is a router's. It is nil if
	// no router comes there. It is set before serving.
	accepts func(ctx context.Context, key string) bool
}

// Info says which worker an App runs in.
type Info struct {
	ID   string // a new one for each start; the worker's sids begin with it
	Slot int    // the worker's number on its host, from 1
	Host string // Config.HostName
}

type infoKey struct{}

// InfoFrom returns the Info of the worker that called the App with ctx. It returns the zero Info for
// any other context.
func InfoFrom(ctx context.Context) Info {
	info, _ := ctx.Value(infoKey{}).(Info)
	return info
}

// Run serves app until ctx ends. Then it drains for at most cfg.ShutdownTimeout, and returns when
// nothing of the worker is left. Errors that only an operator can fix name the field of cfg. A worker
// whose supervisor is gone ends the process at once.
func Run(ctx context.Context, cfg Config, app App) error {
	w, err := newWorker(cfg, app)
	if err != nil {
		return err
	}
	return w.run(ctx)
}

// newWorker checks cfg and makes a worker. It dials nothing and listens on nothing.
func newWorker(cfg Config, app App) (*worker, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &worker{cfg: cfg, log: cfg.Log, app: app, started: time.Now(), metrics: prometheus.NewRegistry()}
	w.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	w.setUnfit("starting")
	if cfg.Redis.URL != "" {
		conn, err := sidereal.OpenRedis(cfg.Redis, w.log, w.metrics)
		if err == nil {
			w.conn, err = redisconn.From(conn)
		}
		if err != nil {
			return nil, w.cfg.refused(err)
		}
	}
	if w.io, err = w.newServer(); err != nil {
		return nil, errors.Join(err, w.closeConn())
	}
	w.http = w.newHTTPServer()
	return w, nil
}

// newServer makes the Socket.IO server, and fills the fields that the caller left to the worker.
func (w *worker) newServer() (*socketio.Server, error) {
	cfg := w.cfg.SocketIO
	cfg.Log = w.log
	if cfg.Metrics == nil {
		cfg.Metrics = w.metrics
	}
	if cfg.NewSID == nil {
		cfg.NewSID = func(*http.Request) (string, error) { return directory.MintSID(w.ID()), nil }
	}
	if cfg.Adapter == nil && w.conn != nil && !w.cfg.MemoryAdapter {
		cluster, err := w.newCluster()
		if err != nil {
			return nil, err
		}
		w.cluster, cfg.Adapter = cluster, cluster
	}
	return socketio.New(cfg)
}

func (w *worker) newCluster() (*adapter.Adapter, error) {
	cfg := w.cfg.Adapter
	cfg.Conn, cfg.Log, cfg.Metrics = w.conn, w.log, w.metrics
	cfg.Name, cfg.Version = fmt.Sprintf("%s/%d", w.cfg.HostName, w.cfg.supervised.slot), w.cfg.Version
	return adapter.New(cfg)
}

// ID returns the worker's id. It is empty before the worker has one.
func (w *worker) ID() string {
	if id := w.id.Load(); id != nil {
		return *id
	}
	return ""
}

// Addr returns the address that the worker serves. It is empty before that, and under a supervisor.
func (w *worker) Addr() string {
	if addr := w.addr.Load(); addr != nil {
		return *addr
	}
	return ""
}

// Ready returns nil while the worker serves, and the reason if it doesn't.
func (w *worker) Ready(context.Context) error {
	if why := w.unfit.Load(); why != nil {
		return errors.New(*why)
	}
	return nil
}

func (w *worker) setUnfit(why string) { w.unfit.Store(&why) }

// run is Run. Call it once.
func (w *worker) run(ctx context.Context) (err error) {
	line, err := lifeline.Open(cmp.Or(w.cfg.supervised.fd, -1))
	if err != nil {
		return err
	}
	ps := newParts()
	defer func() {
		err = errors.Join(err, ps.stop(), w.closeConn())
	}()
	ps.start(ctx, "line", func(ctx context.Context) error {
		if err := line.Run(ctx); err != nil {
			w.log.Error("worker ends at once", "error", err)
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
	ps.start(ctx, "server", w.io.Run)
	info := Info{ID: w.ID(), Slot: w.cfg.supervised.slot, Host: w.cfg.HostName}
	appCtx, endApp := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), infoKey{}, info))
	defer endApp()
	if err := w.app(appCtx, w.io); err != nil {
		return fmt.Errorf("app: %w", err)
	}
	if w.cluster != nil {
		if err := w.cluster.Wait(ctx); err != nil {
			return unlessStopped(ctx, w.cfg.refused(err))
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
		return errors.Join(err, w.abort(ctx))
	case <-ctx.Done():
		w.setUnfit("draining")
		report(line, lifeline.Draining, "1")
		return w.drain(context.WithoutCancel(ctx), m)
	}
}

// report tells the supervisor. If that fails, the line's Run notices.
func report(line *lifeline.Line, key, value string) { _ = line.Report(key, value) }

// unlessStopped drops the error of a start that ended because ctx ended.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (w *worker) closeConn() error {
	if w.conn == nil {
		return nil
	}
	return w.conn.Close()
}
