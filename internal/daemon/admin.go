package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

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
	page, err := dashboard.New(dashboard.Config{
		Host: d.host.Name(), Version: d.cfg.Version, Source: d.host.Everywhere(), Actor: d.host.Actions(d.steer), Key: d.cfg.Settings.AdminKey, Log: d.cfg.Log,
	})
	if err != nil {
		return err
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return page.Run(ctx) })
	server := admin.New(admin.Config{
		Ready: d.host.Ready, Status: d.adminStatus, Cluster: d.host.Overview, Trace: d.host.Trace, Gatherer: admin.AggregateSockets(d.metrics, d.host.AdminSockets),
		Page: page, Inspect: inspect.NewHandler(d.host.Everywhere(), d.host.Inspect),
	})
	parts.Go(func() error { return server.Run(ctx, d.admin) })
	return parts.Wait()
}

// steer drains, starts or reloads the process at a place, or all processes of apps if place is
// empty.
func (d *Daemon) steer(ctx context.Context, verb, place string) (int, error) {
	var entries []*entry
	if place == "" {
		for _, ap := range d.allApps() {
			entries = append(entries, d.entriesOf(ap)...)
		}
	} else if e := d.entryAt(place); e != nil {
		entries = append(entries, e)
	}
	do := Reload
	switch verb {
	case dashboard.Drain:
		do = Stop
	case dashboard.Start:
		do = Restart
		st := d.statuses()
		entries = slices.DeleteFunc(entries, func(e *entry) bool { return st[e.place].PID != 0 })
	}
	if len(entries) == 0 {
		return 0, errors.New("there is no such process")
	}
	return len(entries), d.actOn(ctx, entries, Action{Verb: do}, func(Event) {}) // the error says what the events would
}

func (d *Daemon) adminStatus(context.Context) admin.Status {
	host, _ := os.Hostname()
	st := admin.Status{Role: "daemon", Host: host, Version: d.cfg.Version, Started: d.started}
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
