package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	nodejs "github.com/sidereal-io/sidereal/internal/node"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/transport"
)

// nodehostCommand is the child process that makes workers of Node processes, and of programs with a port of their own.
func nodehostCommand() *cobra.Command {
	return &cobra.Command{
		Use: "nodehost", Hidden: true, Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var set config.NodeHost
			if _, err := load(cmd, &set); err != nil {
				return err
			}
			if set.RuntimeDir == "" || set.SupervisorFD < 0 {
				return errors.New("nodehost: is started by a supervisor only")
			}
			ctx, stop := untilSignal(exitAtOnce)
			defer stop()
			return (&nodehostProcess{set: set}).run(ctx)
		},
	}
}

// nodehostProcess is a nodehost with what it needs around it.
type nodehostProcess struct {
	set     config.NodeHost
	log     zerolog.Logger
	metrics *prometheus.Registry
	conn    *redisconn.Conn // nil: no Redis, and so nobody to be reached
}

// run serves until ctx ends. The end of the supervisor ends the process on the spot.
func (p *nodehostProcess) run(ctx context.Context) (err error) {
	p.log, p.metrics = childLogger(p.set.Log, "nodehost"), prometheus.NewRegistry()
	p.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	line, err := lifeline.Open(p.set.SupervisorFD)
	if err != nil {
		return err
	}
	hard, stop := context.WithCancel(context.WithoutCancel(ctx)) // outlives ctx: workers say goodbye in Redis
	defer stop()
	parts, hard := errgroup.WithContext(hard)
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
	if _, err := nodejs.WritePreload(p.set.RuntimeDir); err != nil {
		return err
	}
	socket, err := admin.ListenSocket(p.set.RuntimeDir, "nodehost")
	if err != nil {
		return err
	}
	server := admin.New(admin.Config{Gatherer: p.metrics})
	parts.Go(func() error { return server.Run(hard, socket) })
	if err := socket.Publish(); err != nil {
		return err
	}
	go p.follow(line, host)
	report(line, lifeline.Ready)
	err = host.Run(ctx)
	stop()
	return errors.Join(err, parts.Wait())
}

// openRedis opens the connection to Redis, if there is to be one.
func (p *nodehostProcess) openRedis(ctx context.Context, parts *errgroup.Group) (err error) {
	if p.set.RedisURL == "" {
		return nil
	}
	if p.conn, err = p.set.Redis.Open(p.log, p.metrics); err != nil {
		return err
	}
	if err := p.conn.Check(ctx); err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return p.set.Redis.Problem(err)
	}
	parts.Go(func() error { return errors.Join(p.conn.Run(ctx), p.conn.Close()) })
	return nil
}

// follow hands the supervisor's lines to the host.
func (p *nodehostProcess) follow(line *lifeline.Line, host *nodejs.Host) {
	if err := line.Follow(context.Background(), host.Told); err != nil {
		os.Exit(config.ExitFailed)
	}
}

// newAdapter makes what SIDEREAL_ADAPTER names; nil: workers of this host alone hear each other.
func (p *nodehostProcess) newAdapter() func(int, *adapter.Group) (*adapter.Redis, error) {
	if p.conn == nil || p.set.Adapter == transport.Memory {
		return nil
	}
	return func(slot int, g *adapter.Group) (*adapter.Redis, error) {
		return transport.New(p.cluster(), adapter.Config{
			Conn: p.conn, Group: g, Name: fmt.Sprintf("%s/%d", p.set.HostName, slot), Version: versionText(),
			Log: p.log, Metrics: p.metrics,
		})
	}
}

// cluster are the settings of Node workers' part in the cluster: their rooms are not known here, so that they hear what all
// hear.
func (p *nodehostProcess) cluster() config.Cluster {
	set := p.set.Cluster
	set.AdapterMode = string(adapter.Static)
	return set
}

// record is what the workers' records have in common.
func (p *nodehostProcess) record() directory.Worker {
	w := directory.Worker{Host: p.set.HostName, Addr: p.set.Advertise, Path: p.set.Path, Version: versionText()}
	transport.Describe(p.cluster(), &w)
	return w
}
