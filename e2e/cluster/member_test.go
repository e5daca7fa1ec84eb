package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// host is a router that follows the directory, and the workers that register beside it. All share
// one connection of the simulation, as the real processes don't: that saves descriptors, and Redis
// gets the same commands.
type host struct {
	name    string
	dir     *directory.Directory
	workers []*registered
	stop    func()
}

// registered is one worker's entry.
type registered struct {
	*directory.Registration[directory.Worker]
	stop func()
}

// startHost starts the entries of a host.
func startHost(t testing.TB, s store, i, workers int) *host {
	t.Helper()
	dir, err := directory.Open(t.Context(), directory.Config{Redis: sidereal.Redis{URL: s.url}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{name: fmt.Sprintf("host-%d", i), dir: dir}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = dir.Run(ctx) })
	router, err := dir.RegisterRouter(t.Context(), directory.Router{Host: h.name, Addr: "203.0.113.9:8080", State: directory.StateReady, Started: time.Now(), Version: "1.0.0"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	routing, leave := context.WithCancel(ctx)
	var registered sync.WaitGroup
	registered.Go(func() { _ = router.Run(routing) })
	for slot := range workers {
		h.workers = append(h.workers, h.startWorker(t, slot))
	}
	h.stop = func() {
		for _, w := range h.workers {
			w.stop()
		}
		leave()
		registered.Wait()
		cancel()
		running.Wait()
	}
	return h
}

// startWorker registers a worker that is starting, then ready.
func (h *host) startWorker(t testing.TB, slot int) *registered {
	t.Helper()
	clients := 0
	reg, err := h.dir.RegisterWorker(t.Context(), directory.Worker{
		Slot: slot + 1, Host: h.name, PID: 1000 + slot, Addr: "203.0.113.9:8080", Handoff: "/run/sidereal/app/handoff-1.sock", Started: time.Now(),
		Version: "1.0.0", Adapter: "redis-sharded", AdapterKey: "socket.io", AdapterMode: "dynamic", Path: "/socket.io/", Tags: true, Repeats: true,
	}, func() int { clients++; return clients })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { _ = reg.Run(ctx) })
	reg.SetState(directory.StateReady)
	return &registered{reg, func() { cancel(); running.Wait() }}
}

// startHosts starts hosts, and returns when each knows all workers.
func startHosts(t testing.TB, s store, hosts, workers int) []*host {
	t.Helper()
	all := make([]*host, hosts)
	var starting errgroup.Group
	starting.SetLimit(starters)
	for i := range all {
		starting.Go(func() error { all[i] = startHost(t, s, i, workers); return nil })
	}
	_ = starting.Wait() // startHost fails the test itself
	known(t, all, hosts*workers)
	return all
}

// known returns when each host knows n ready workers.
func known(t testing.TB, all []*host, n int) {
	t.Helper()
	for _, h := range all {
		testkit.Until(t, "the hosts to know all workers", func() bool { return len(h.dir.Workers().Ready()) == n })
	}
}

func stopHosts(all []*host) {
	var stopping sync.WaitGroup
	for _, h := range all {
		stopping.Go(h.stop)
	}
	stopping.Wait()
}
