package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
	"github.com/sidereal-io/sidereal/internal/systemd"
)

// ready is the router's word, once there is one: it listens, and knows a worker that is ready.
func (h *hostProcess) ready(ctx context.Context) error {
	s := h.supervisor.Load()
	if s == nil {
		return errors.New("waiting for Redis")
	}
	for _, st := range s.Status() {
		if st.Name == "router" && st.State != supervisor.Ready {
			return fmt.Errorf("the router is %s", st.State)
		}
	}
	err := h.routerAdmin().Ready(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("the router does not answer")
	}
	return err
}

func (h *hostProcess) routerAdmin() *admin.Client {
	return admin.NewSocketClient(admin.Socket(h.dir.Path, "router"))
}

// clusterPage has the router of the host answer where backends are listed by hand, which it alone knows.
func (h *hostProcess) clusterPage(ctx context.Context) (any, error) {
	if h.set.Upstreams.List == "" {
		return clusterOf(h.set.App.App, h.node.dir.Workers()), nil
	}
	c := new(cluster)
	return c, h.routerAdmin().Cluster(ctx, c)
}

func (h *hostProcess) status(ctx context.Context) admin.Status {
	st := admin.Status{
		Role: "up", Host: h.set.HostName, Version: versionText(), Started: h.node.started, App: h.set.App.App,
		Addr: h.doors.addr().String(), Advertise: h.advertise, Redis: h.node.conn.String(), Workers: shownWorkers(h.node.dir.Workers()),
	}
	st.Problems = disagreements(h.node.dir.Workers().All(), h.set.HostName, h.set.Path)
	if h.redis != nil {
		st.Redis = "embedded"
	}
	if h.set.Upstreams.List != "" {
		if of, err := h.routerAdmin().Status(ctx); err == nil {
			st.Workers = of.Workers
		}
	}
	if !h.node.conn.Up() {
		st.Problems = append(st.Problems, "Redis does not answer")
	}
	if s := h.supervisor.Load(); s != nil {
		for _, p := range s.Status() {
			st.Processes = append(st.Processes, admin.Process{Name: p.Name, State: string(p.State), PID: p.PID,
				Worker: p.Attrs[lifeline.Worker], Started: p.Started, Restarts: p.Restarts})
		}
	}
	return st
}

// childNames are those of the children that run.
func (h *hostProcess) childNames() (names []string) {
	s := h.supervisor.Load()
	if s == nil {
		return nil
	}
	for _, p := range s.Status() {
		if p.PID != 0 {
			names = append(names, p.Name)
		}
	}
	return names
}

// announce says that the host is up, once all its processes are ready, and on a terminal what to do with it.
func (h *hostProcess) announce(ctx, node context.Context, s *supervisor.Supervisor) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(node, cancel)()
	allReady := func(st []supervisor.Status) bool {
		return !slices.ContainsFunc(st, func(p supervisor.Status) bool { return p.State != supervisor.Ready })
	}
	if s.Wait(ctx, allReady) != nil || h.awaitReady(ctx) != nil {
		return nil
	}
	h.notify(systemd.Ready)
	workers := len(s.Status()) - 1
	if h.redis != nil {
		workers--
	}
	open := "http://" + reachable(h.doors.addr())
	if h.set.TLSCert != "" {
		open = "https://" + reachable(h.doors.addr())
	}
	log := h.log.Info().Str("host", h.set.HostName).Str("open", open).Int("workers", workers)
	if h.admin != nil {
		log.Stringer("admin", h.admin.Addr())
	}
	log.Msg("host ready")
	if h.set.Format == "console" {
		fmt.Fprint(os.Stdout, h.banner(open, workers))
	}
	return nil
}

// readyEvery is how often a router is asked whether it has heard of its workers. That takes milliseconds.
const readyEvery = 20 * time.Millisecond

// awaitReady waits until the router would serve a client.
func (h *hostProcess) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for h.ready(ctx) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// notify says to systemd how the host does.
func (h *hostProcess) notify(state string) {
	if err := h.manager.Say(state); err != nil {
		h.log.Warn().Err(err).Msg("the service manager does not hear us")
	}
}

// banner is what a person at a terminal may try.
func (h *hostProcess) banner(open string, workers int) string {
	text := fmt.Sprintf(`
  %s is up: %d workers behind one door.

    open   %s   in two browser windows, and chat across workers
    try    kill -9 a worker: its people reconnect, the others see nothing
           kill -USR2 %d   replaces the workers one by one
`, h.set.HostName, workers, open, os.Getpid())
	if h.admin != nil {
		text += fmt.Sprintf("    admin  http://%s\n", h.admin.Addr())
	}
	return text + "\n  Ctrl-C drains and stops it all.\n\n"
}

// reachable is a listening address as a browser on this host takes it.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("localhost:%d", tcp.Port)
}
