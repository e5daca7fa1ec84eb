package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// node is what a router and a supervisor have in common: Redis, the directory over it, metrics, an admin door. Its parts run
// from open to close, longer than the command's context: a host that stops still looks things up and says goodbye.
type node struct {
	log     zerolog.Logger
	started time.Time
	metrics *prometheus.Registry
	redis   config.Redis
	conn    *redisconn.Conn      // nil: no Redis
	dir     *directory.Directory // nil: no Redis
	ctx     context.Context      // of the parts
	stop    context.CancelFunc
	parts   *errgroup.Group
}

// openNode makes a node, without a Redis if there is no URL. Nothing runs yet.
func openNode(redis config.Redis, app string, sidTTL time.Duration, log zerolog.Logger) (*node, error) {
	n := &node{log: log, started: time.Now(), metrics: prometheus.NewRegistry(), redis: redis, parts: new(errgroup.Group)}
	n.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	n.ctx, n.stop = context.WithCancel(context.Background())
	if redis.RedisURL == "" {
		return n, nil
	}
	var err error
	if n.conn, err = redis.Open(log, n.metrics); err != nil {
		return nil, err
	}
	n.dir, err = directory.Open(n.ctx, directory.Config{Conn: n.conn, App: app, SIDTTL: sidTTL, Log: log, Metrics: n.metrics})
	if err != nil {
		return nil, errors.Join(err, n.conn.Close())
	}
	return n, nil
}

// run follows Redis and the directory until close.
func (n *node) run() {
	n.start(n.conn.Run)
	n.start(n.dir.Run)
}

// reach is run, and then waits for Redis. It returns what only the operator can mend, before anything of it is logged.
func (n *node) reach(ctx context.Context) error {
	err := n.conn.Check(ctx)
	if err == nil {
		err = n.dir.Check(ctx)
	}
	if err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return n.redis.Problem(err)
	}
	n.run()
	if err != nil {
		err = n.conn.Reach(ctx)
	}
	return n.redis.Problem(err)
}

// start runs a part until close.
func (n *node) start(run func(context.Context) error) {
	n.parts.Go(func() error { return run(n.ctx) })
}

func (n *node) close() error {
	n.stop()
	err := n.parts.Wait()
	if n.conn != nil {
		err = errors.Join(err, n.conn.Close())
	}
	return err
}

// shownWorkers are those of a table, for the status.
func shownWorkers(t *directory.Table) (out []admin.Worker) {
	for _, w := range t.All() {
		out = append(out, admin.Worker{ID: w.ID, Slot: w.Slot, Host: w.Host, Addr: w.Addr, PID: w.PID,
			State: string(w.State), Clients: w.Clients, Version: w.Version})
	}
	return out
}

// listenAdmin opens the admin port of SIDEREAL_ADMIN_ADDR, nil where it is off. The default moves to the next free port.
func listenAdmin(ctx context.Context, addr string, settings *config.Settings, log zerolog.Logger) (net.Listener, error) {
	if config.IsOff(addr) {
		return nil, nil
	}
	chosen := settings.Get("SIDEREAL_ADMIN_ADDR").Set()
	l, err := admin.Listen(ctx, addr, !chosen)
	if err != nil {
		return nil, listenError("SIDEREAL_ADMIN_ADDR", addr, err)
	}
	if l.Addr().String() != addr && !chosen {
		log.Info().Str("taken", addr).Stringer("addr", l.Addr()).Msg("admin port is in use: another one is taken")
	}
	return l, nil
}

// listenError makes one line for the operator of an address that cannot be listened on.
func listenError(variable, addr string, err error) error {
	e := &config.ValueError{Variable: variable, Value: addr}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		e.Rule = "is in use by another process"
	case errors.Is(err, syscall.EACCES):
		e.Rule = "needs a right that this process has not: ports below 1024 are for root"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		e.Rule = "must be an address of this host"
	default:
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		e.Rule = fmt.Sprintf("cannot be listened on: %v", err)
	}
	return e
}
