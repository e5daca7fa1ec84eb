package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
)

// listenAdmin opens the operator's port; nil where it is off. The default moves to the next free port.
func (d *Daemon) listenAdmin(ctx context.Context) (net.Listener, error) {
	addr := d.cfg.Settings.AdminAddr
	if config.IsOff(addr) {
		return nil, nil
	}
	chosen := d.cfg.AdminChosen
	l, err := admin.Listen(ctx, addr, !chosen)
	if err != nil {
		return nil, &config.ValueError{Variable: "SIDEREAL_ADMIN_ADDR", Value: addr, Rule: fmt.Sprintf("cannot be listened on: %v", err)}
	}
	return l, nil
}

// serveAdmin answers operators until ctx ends.
func (d *Daemon) serveAdmin(ctx context.Context) error {
	if d.admin == nil {
		return nil
	}
	server := admin.New(admin.Config{
		Ready: d.ready, Status: d.adminStatus, Cluster: d.cluster, Trace: d.trace, Gatherer: admin.AggregateSockets(d.metrics, d.sockets),
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
		if len(ap.doors) > 0 && ap.dir != nil {
			all = append(all, admin.NewSocketClient(admin.Socket(ap.dir.Path, "router")))
		}
	}
	return all
}

// sockets are the admin sockets of all processes that may have one, by the names of their places.
func (d *Daemon) sockets() map[string]string {
	out := map[string]string{}
	st := d.statuses()
	path := ""
	d.do(func(b *book) { path = b.forksSocket() })
	if path != "" && st[host.SharedNodeHostPlace].PID != 0 {
		out[host.SharedNodeHostPlace] = path
	}
	for _, ap := range d.seeAll() {
		if ap.dir == nil {
			continue
		}
		for _, name := range ap.services() {
			if st[name].PID != 0 {
				_, role, _ := strings.Cut(name, ap.key+"/")
				out[name] = admin.Socket(ap.dir.Path, role)
			}
		}
		if ap.kind != host.Worker {
			continue
		}
		for _, e := range ap.entries {
			if st[e.place].PID != 0 {
				out[e.place] = admin.Socket(ap.dir.Path, fmt.Sprintf("worker-%d", e.instance+1))
			}
		}
	}
	return out
}

// ready is whether every app that has a door serves it.
func (d *Daemon) ready(ctx context.Context) error {
	var errs []error
	for _, ap := range d.seeAll() {
		problems := strings.Join(ap.problems, "; ")
		switch {
		case ap.gone:
		case problems != "":
			errs = append(errs, errors.New(problems))
		case len(ap.doors) > 0:
			if err := admin.NewSocketClient(admin.Socket(ap.dir.Path, "router")).Ready(ctx); err != nil {
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
		if ap.backend == nil {
			continue
		}
		for _, w := range ap.backend.dir.Workers().All() {
			st.Workers = append(st.Workers, admin.Worker{ID: w.ID, Slot: w.Slot, Host: w.Host, Addr: w.Addr, PID: w.PID,
				State: string(w.State), Clients: w.Clients, Version: w.Version})
		}
	}
	return st
}
