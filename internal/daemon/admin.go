package daemon

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/cluster"
	"github.com/sidereal-io/sidereal/internal/dashboard"
	"github.com/sidereal-io/sidereal/internal/inspect"
)

// serveAdmin answers operators until ctx ends.
func (d *Daemon) serveAdmin(ctx context.Context) error {
	if d.admin == nil {
		return nil
	}
	page, err := dashboard.New(dashboard.Config{Host: d.hostName(), Version: d.cfg.Version, Source: d.host.Inspect, Log: d.cfg.Log})
	if err != nil {
		return err
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return page.Run(ctx) })
	server := admin.New(admin.Config{
		Ready: d.host.Ready, Status: d.adminStatus, Cluster: d.host.Overview, Trace: d.host.Trace, Gatherer: admin.AggregateSockets(d.metrics, d.host.AdminSockets),
		Page: page, Inspect: inspect.NewHandler(d.host.Inspect, d.host.Inspect),
	})
	parts.Go(func() error { return server.Run(ctx, d.admin) })
	return parts.Wait()
}

// hostName is what this machine is called; empty if it has no name.
func (d *Daemon) hostName() string {
	name, _ := os.Hostname()
	return name
}

func (d *Daemon) adminStatus(context.Context) admin.Status {
	st := admin.Status{Role: "daemon", Host: d.hostName(), Version: d.cfg.Version, Started: d.started}
	l := d.list()
	for _, p := range l.Processes {
		st.Processes = append(st.Processes, admin.Process{Name: fmt.Sprintf("%s (%d)", p.Name, p.ID), State: string(p.Status), PID: p.PID,
			Worker: p.Worker, Started: p.Started, Restarts: p.Restarts})
	}
	services := l.Services
	for _, a := range l.Apps {
		st.Problems = append(st.Problems, a.Problems...)
		services = append(services, a.Services...)
	}
	for _, s := range services {
		st.Processes = append(st.Processes, admin.Process{Name: s.Name, State: string(s.Status), PID: s.PID, Started: s.Started, Restarts: s.Restarts})
	}
	for _, ap := range d.seeAll() {
		if c := ap.deployment.Cluster(); c != nil {
			st.Workers = append(st.Workers, cluster.Shown(c.Directory.Workers())...)
		}
	}
	return st
}
