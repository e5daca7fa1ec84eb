package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/cluster"
)

// serveAdmin answers operators until ctx ends.
func (d *Daemon) serveAdmin(ctx context.Context) error {
	if d.admin == nil {
		return nil
	}
	server := admin.New(admin.Config{
		Ready: d.ready, Status: d.adminStatus, Cluster: d.cluster, Trace: d.trace, Gatherer: admin.AggregateSockets(d.metrics, d.host.AdminSockets),
	})
	return server.Run(ctx, d.admin)
}

// errNoRouter reports that no app has a door, and so no router that could tell.
var errNoRouter = errors.New("no app of this daemon has a router")

// cluster is the word of the first router that answers: apps of one name share what they know.
func (d *Daemon) cluster(ctx context.Context) (any, error) {
	err := errNoRouter
	for _, c := range d.routers() {
		var found json.RawMessage
		if err = c.Cluster(ctx, &found); err == nil {
			return found, nil
		}
	}
	return nil, err
}

// trace is the word of the first router that knows an owner, or else of any.
func (d *Daemon) trace(ctx context.Context, sid string) (found any, err error) {
	err = errNoRouter
	for _, c := range d.routers() {
		var raw json.RawMessage
		if failed := c.Trace(ctx, sid, &raw); failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		var known struct{ Worker json.RawMessage }
		if found = raw; json.Unmarshal(raw, &known) == nil && known.Worker != nil {
			break
		}
	}
	if found != nil {
		err = nil
	}
	return found, err
}

// routers are those of the apps with a door.
func (d *Daemon) routers() (all []*admin.Client) {
	for _, ap := range d.seeAll() {
		if r := ap.deployment.Router(); r != nil {
			all = append(all, r)
		}
	}
	return all
}

// ready is whether every app that has a door serves it.
func (d *Daemon) ready(ctx context.Context) error {
	var errs []error
	for _, ap := range d.seeAll() {
		problems := strings.Join(ap.deployment.State().Problems, "; ")
		router := ap.deployment.Router()
		switch {
		case ap.gone:
		case problems != "":
			errs = append(errs, errors.New(problems))
		case router != nil:
			if err := router.Ready(ctx); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", ap.name, err))
			}
		}
	}
	return errors.Join(errs...)
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
