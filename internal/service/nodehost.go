package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/adapterenv"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	nodejs "github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// NodeHostConfig says what a node host is made from.
type NodeHostConfig struct {
	Settings config.NodeHost
	Version  string
	Log      *slog.Logger
}

// NodeHost runs a node host until ctx ends. It makes workers of Node processes, and of programs
// with a port of their own.
func NodeHost(ctx context.Context, cfg NodeHostConfig) error {
	if cfg.Settings.RuntimeDir == "" || cfg.Settings.SupervisorFD < 0 {
		return errors.New("nodehost: only a supervisor can start it")
	}
	p := &nodeHostProcess{set: cfg.Settings, version: cfg.Version, log: cfg.Log, metrics: admin.Registry(), started: time.Now()}
	p.counts = inspect.NewCounts(p.metrics)
	return p.run(ctx)
}

// nodeHostProcess is a node host with everything around it.
type nodeHostProcess struct {
	set     config.NodeHost
	version string
	log     *slog.Logger
	metrics *prometheus.Registry
	counts  *inspect.Counts // registers in metrics
	started time.Time
	conn    *redisconn.Conn // nil without a Redis: nobody reaches the processes then
}

// run serves until ctx ends.
func (p *nodeHostProcess) run(ctx context.Context) (err error) {
	line, err := lifeline.Open(p.set.SupervisorFD)
	if err != nil {
		return err
	}
	hard, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx: workers say goodbye in Redis
	parts, hard := errgroup.WithContext(hard)
	defer func() {
		stop()
		err = errors.Join(err, parts.Wait())
	}()
	if err := p.openRedis(hard, parts); err != nil {
		return err
	}
	host, err := nodejs.New(nodejs.Config{
		App: p.set.App.App, Record: p.record(), RuntimeDir: p.set.RuntimeDir, Conn: p.conn, NewAdapter: p.newAdapter(),
		DrainRate: p.set.DrainRate, ShutdownTimeout: p.set.ShutdownTimeout, Report: line.ReportJSON, Log: p.log, Metrics: p.metrics,
	})
	if err != nil {
		return err
	}
	socket, err := admin.ListenSocket(p.set.RuntimeDir, "nodehost")
	if err != nil {
		return err
	}
	source := &nodeHostFacts{host: host}
	source.Sampled = sampled(inspect.Process{Host: p.set.HostName, App: p.set.App.App, Name: "nodehost", Role: "service", Started: p.started}, p.counts, func() *redisconn.Conn { return p.conn })
	server := admin.New(admin.Config{Gatherer: host.Gatherer(p.metrics), Inspect: inspect.NewHandler(source, nil)})
	parts.Go(func() error { return server.Run(hard, socket) })
	if err := socket.Publish(); err != nil {
		return err
	}
	follow(hard, parts, line, func(t lifeline.Told) { host.Told(hard, t) })
	report(line, lifeline.Ready)
	return host.Run(ctx)
}

// nodeHostFacts is what a node host tells operators: of itself, and of the Node processes.
type nodeHostFacts struct {
	inspect.Sampled
	host *nodejs.Host
}

// Samples has a sample of each Node process that has reported.
func (f *nodeHostFacts) Samples(ctx context.Context) ([]inspect.Sample, error) {
	all, err := f.Sampled.Samples(ctx)
	for _, u := range f.host.Usages() {
		if u.At.IsZero() {
			continue
		}
		all = append(all, inspect.Sample{
			Process: inspect.Process{Name: u.Name, Role: "node", Worker: u.Worker, PID: u.PID, Started: u.Started}, At: u.At,
			CPU: u.CPU, Memory: u.Memory, Sessions: u.Sessions, Sockets: u.Sockets, EventsIn: u.Received, EventsOut: u.Sent,
			LoopDelay: u.LoopDelay, Heap: u.Heap, GC: u.GC,
		})
	}
	return all, err
}

// openRedis opens the connection to Redis, if there is to be one.
func (p *nodeHostProcess) openRedis(ctx context.Context, parts *errgroup.Group) (err error) {
	if p.set.RedisURL == "" {
		return nil
	}
	if p.conn, err = p.set.Redis.Open(p.log, p.counts); err != nil {
		return err
	}
	if err := p.conn.Check(ctx); err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return p.set.Redis.Problem(err)
	}
	parts.Go(func() error { return errors.Join(p.conn.Run(ctx), p.conn.Close()) })
	return nil
}

// newAdapter makes what SIDEREAL_ADAPTER names; nil: workers of this host alone hear each other.
func (p *nodeHostProcess) newAdapter() func(slot, server int, g *adapter.Group) (*adapter.Adapter, error) {
	if p.conn == nil || p.set.Adapter == adapterenv.Memory {
		return nil
	}
	return func(slot, server int, g *adapter.Group) (*adapter.Adapter, error) {
		cfg := p.adapterConfig()
		if server > 0 {
			cfg = adapterenv.ServerConfig(p.nodeCluster(), p.set.App.App, server)
		}
		cfg.Conn, cfg.Group, cfg.Log, cfg.Metrics = p.conn, g, p.log, p.metrics
		cfg.Name, cfg.Version = fmt.Sprintf("%s/%d", p.set.HostName, slot), p.version
		return adapter.New(cfg)
	}
}

// adapterConfig returns the adapter's settings for Node workers.
func (p *nodeHostProcess) adapterConfig() adapter.Config { return adapterenv.Config(p.nodeCluster()) }

// nodeCluster returns the settings without channels for rooms: this process doesn't know the rooms
// of Node workers.
func (p *nodeHostProcess) nodeCluster() config.Cluster {
	set := p.set.Cluster
	set.AdapterMode = string(adapter.Static)
	return set
}

// record is what the workers' records have in common.
func (p *nodeHostProcess) record() directory.Worker {
	w := directory.Worker{Host: p.set.HostName, Addr: p.set.Advertise, Path: p.set.Path, Version: p.version}
	if p.set.Adapter == adapterenv.Memory {
		adapterenv.Describe(nil, &w)
		return w
	}
	cfg := p.adapterConfig()
	adapterenv.Describe(&cfg, &w)
	return w
}
