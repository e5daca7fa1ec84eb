package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/flight"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/adminui"
)

// worker is a server with its place in the cluster.
type worker struct {
	cfg     Config
	log     *slog.Logger
	app     App
	started time.Time
	metrics *prometheus.Registry
	counts  *inspect.Counts // registers in metrics
	// appMetrics are those of the app.
	appMetrics *appMetrics
	io         *socketio.Server
	ended      *inspect.Recorder
	conn       *redisconn.Conn  // nil: no Redis
	cluster    *adapter.Adapter // nil: in memory, or SocketIO.Adapter
	peers      *inspect.Peers   // nil: no Redis, or a supervisor asks
	http       *http.Server
	routers    *pollServer // nil without a handoff socket; set before serving

	id      atomic.Pointer[string] // set once it is known
	unfit   atomic.Pointer[string] // why the worker isn't ready; nil: it is
	addr    atomic.Pointer[string] // where it listens, once it does
	leaving atomic.Bool            // each response closes its connection
	// accepts reports whether a connection to the worker's own port that shows key is a router's.
	// It is nil if no router comes there. It is set before serving.
	accepts func(ctx context.Context, key string) bool
}

// Info says which worker an App runs in, and has what the worker shares with it.
type Info struct {
	ID   string // a new one for each start; the worker's sids begin with it
	Slot int    // the worker's number on its host, from 1
	Host string // Config.HostName

	// Redis is the worker's connection, for the app's own keys; nil without a Redis. The worker
	// runs and closes it.
	Redis sidereal.RedisConn
	// Metrics registers metrics of the app. They appear beside the worker's on /metrics: that of
	// the host has them for each process. A name that the worker uses is refused. Metrics of
	// prometheus.DefaultRegisterer appear without being registered here.
	Metrics prometheus.Registerer
}

type infoKey struct{}

// InfoFrom returns the Info of the worker that ctx belongs to: that of the App, of a socket or one
// of its handlers, of a page or another request, as AllowRequest gets it, or of a function of
// Server.Go or Server.OnShutdown. It returns the zero Info for any other context.
func InfoFrom(ctx context.Context) Info {
	info, _ := ctx.Value(infoKey{}).(Info)
	return info
}

// Run serves app until ctx ends. Then it drains for at most cfg.ShutdownTimeout, and returns when
// nothing of the worker is left. If functions of the app haven't returned by then, Run leaves them
// behind and returns an error. Errors that only an operator can fix name the field of cfg. A worker
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
	w := &worker{cfg: cfg, log: cfg.Log, app: app, started: time.Now(), metrics: admin.Registry()}
	w.counts = inspect.NewCounts(w.metrics)
	w.appMetrics = newAppMetrics(w.metrics, cfg.Log)
	w.ended = inspect.NewRecorder()
	w.setUnfit("starting")
	if cfg.Redis.URL != "" {
		conn, err := sidereal.OpenRedis(cfg.Redis, w.log, w.counts)
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
	if cfg.ClientBundle == nil && w.cfg.supervised.dir != "" {
		cfg.ClientBundle = lifeline.Client(w.cfg.supervised.dir)
	}
	cfg.OnConnectionError = w.recordRefusals(cfg.OnConnectionError)
	cfg.Metrics = both(w.counts, cfg.Metrics)
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
	io, err := socketio.New(cfg)
	if err != nil || w.cfg.AdminUI == nil {
		return io, err
	}
	ui := *w.cfg.AdminUI
	ui.Log = w.log
	if ui.Sessions == nil && w.conn != nil {
		prefix := "" // Node's
		if w.cfg.App != "default" {
			prefix = "socket.io-admin@" + w.cfg.App // an app's admins aren't another app's
		}
		ui.Sessions = adminui.RedisSessions(w.conn, prefix)
	}
	if err := adminui.Instrument(io, ui); err != nil {
		return nil, &fieldError{"AdminUI", "", err.Error()}
	}
	return io, nil
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
func (w *worker) run(ctx context.Context) error {
	var drained time.Time // when the drain began; zero: there was none
	err := w.serveUntil(ctx, &drained)
	if drained.IsZero() {
		return err
	}
	fields := []any{"worker", w.ID(), "took_ms", time.Since(drained).Milliseconds()}
	if err != nil {
		w.log.Error("worker stopped", append(fields, "error", err)...)
		return &stopError{err}
	}
	w.log.Info("worker stopped", fields...)
	return nil
}

// stopError is an error of a drain, which has been logged.
type stopError struct{ error }

func (e *stopError) Unwrap() error { return e.error }

// serveUntil starts the worker's parts, serves until ctx ends, drains, and stops the parts.
func (w *worker) serveUntil(ctx context.Context, drained *time.Time) (err error) {
	line, err := lifeline.Open(cmp.Or(w.cfg.supervised.fd, -1))
	if err != nil {
		return err
	}
	ps := newParts()
	var limit context.Context
	endLimit := func() {}
	limited := func() context.Context { // Config.ShutdownTimeout begins with the first call
		if limit == nil {
			limit, endLimit = context.WithTimeout(context.WithoutCancel(ctx), w.cfg.ShutdownTimeout)
		}
		return limit
	}
	defer func() {
		_ = w.io.Shutdown(limited()) // Run returns the reason, too
		err = errors.Join(err, ps.stop(), w.closeConn())
		w.saveRecords()
		endLimit()
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
	info := Info{ID: w.ID(), Slot: w.cfg.supervised.slot, Host: w.cfg.HostName, Metrics: w.appMetrics}
	if w.conn != nil {
		info.Redis = w.conn
	}
	ctx = context.WithValue(ctx, infoKey{}, info)
	w.http.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.WithoutCancel(ctx), infoKey{}, info)
	}
	recorded := flight.With(ctx, &flight.Recorder{Ended: w.record})
	ps.start(recorded, "server", w.io.Run)
	appCtx, endApp := context.WithCancel(context.WithoutCancel(ctx))
	defer endApp()
	if err := w.setUp(ctx, appCtx, endApp); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	if w.cluster != nil {
		if err := w.cluster.Wait(ctx); err != nil {
			return unlessStopped(ctx, w.cfg.refused(err))
		}
	}
	if err := w.startServing(ctx, ps, m); err != nil {
		return unlessStopped(ctx, err)
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
		*drained = time.Now()
		w.setUnfit("draining")
		report(line, lifeline.Draining, "1")
		return w.drain(context.WithoutCancel(ctx), limited, m)
	}
}

// setUp calls the App. If ctx ends meanwhile, setUp ends the App's context and waits for the App no
// longer than Config.ShutdownTimeout.
func (w *worker) setUp(ctx, appCtx context.Context, endApp context.CancelFunc) error {
	result := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				w.log.Error("app panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
				result <- fmt.Errorf("panic: %v", v)
			}
		}()
		result <- w.app(appCtx, w.io)
	}()
	select {
	case err := <-result:
		if err != nil {
			return fmt.Errorf("app: %w", err)
		}
		return nil
	case <-ctx.Done():
	}
	endApp()
	late := time.NewTimer(w.cfg.ShutdownTimeout)
	defer late.Stop()
	select {
	case err := <-result:
		if err != nil { // the end of its context, mostly
			w.log.Debug("app's setup ended with an error", "error", err)
		}
		return nil
	case <-late.C:
		return errors.New("app: its setup doesn't return though its context has ended")
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
