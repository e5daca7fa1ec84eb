package service

import (
	"context"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/inspect"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/sockets"
)

// Process is what a service is told about the process that it runs in.
type Process struct {
	AdminChosen bool // the operator chose the admin address: the service fails if it is in use
	Version     string
	Log         *slog.Logger
}

// process is what a router and an HTTP API have around them.
type process struct {
	chosen  bool // the admin address
	version string
	log     *slog.Logger
	started time.Time
	metrics *prometheus.Registry
	counts  *inspect.Counts // registers in metrics
}

func newProcess(p Process) process {
	metrics := admin.Registry()
	return process{chosen: p.AdminChosen, version: p.Version, log: p.Log, started: time.Now(), metrics: metrics, counts: inspect.NewCounts(metrics)}
}

// sampled is what the process tells of itself. conn may return nil: there is no Redis.
func sampled(of inspect.Process, counts *inspect.Counts, conn func() *redisconn.Conn) inspect.Sampled {
	of.PID = os.Getpid()
	return inspect.Sampled{
		Process: func() inspect.Process { return of }, Counts: counts,
		Complete: func(s *inspect.Sample) {
			if c := conn(); c != nil {
				s.RedisLatency = c.Latency()
			}
		},
	}
}

// adminPlace is where a process serves the admin HTTP.
type adminPlace struct {
	runtimeDir string       // of the supervisor; empty without one
	socket     string       // the name of the socket there
	listener   net.Listener // from systemd; nil for none
	addr       string       // SIDEREAL_ADMIN_ADDR
}

// serveAdmin serves the admin HTTP until hard ends. A supervisor finds it once publish was called.
func (p *process) serveAdmin(ctx, hard context.Context, parts *errgroup.Group, at adminPlace, cfg admin.Config) (publish func() error, err error) {
	publish = func() error { return nil }
	l := at.listener
	switch {
	case at.runtimeDir != "":
		var socket *admin.SocketListener
		if socket, err = admin.ListenSocket(at.runtimeDir, at.socket); err == nil {
			l, publish = socket, socket.Publish
		}
	case l == nil:
		l, err = sockets.ListenAdmin(ctx, at.addr, p.chosen, p.log)
	}
	if err != nil || l == nil {
		return publish, err
	}
	server := admin.New(cfg)
	parts.Go(func() error { return server.Run(hard, l) })
	return publish, nil
}
