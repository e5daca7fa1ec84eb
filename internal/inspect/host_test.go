package inspect

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// serving serves a source on a socket, as a child does.
func serving(t *testing.T, s Source) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: NewHandler(s, nil)}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return socket
}

// hostOf makes a host of children. Those that don't answer use 100 bytes.
func hostOf(t *testing.T, children ...Child) *Host {
	h := NewHost(HostConfig{
		Self:     func() Sample { return Own(Process{Host: "here", Name: "supervisor", Role: "host"}) },
		Children: func() []Child { return children },
		Usage:    func(int) (int64, time.Duration) { return 100, time.Second },
	})
	t.Cleanup(h.close)
	return h
}

func TestHostSignsAnswersOfChildren(t *testing.T) {
	lying := &facts{
		samples: []Sample{{Process: Process{Host: "elsewhere", Name: "router", PID: 1}, Sessions: 3, Memory: 7}, {Process: Process{PID: 3}, Sessions: 99}},
		clients: []Client{{Process: Process{Host: "elsewhere"}, SID: "sid-1"}},
		ended:   []Ended{{Process: Process{Host: "elsewhere"}, SID: "sid-2"}},
	}
	carrier := &facts{samples: []Sample{{Process: Process{PID: 2}}, {Process: Process{PID: 3, Name: "anything"}, Sessions: 5, Heap: 9}}}
	h := hostOf(t,
		Child{Process: Process{Host: "here", App: "a", Name: "worker-1", Role: "worker", PID: 1}, Socket: serving(t, lying), State: "ready", Restarts: 4},
		Child{Process: Process{Host: "here", App: "b", Name: "nodehost", Role: "service", PID: 2}, Socket: serving(t, carrier), Carries: true},
		Child{Process: Process{Host: "here", App: "b", Name: "node-1", Role: "node", PID: 3}, Sessions: 8},
		Child{Process: Process{Host: "here", App: "b", Name: "node-2", Role: "node", PID: 4}, Sessions: 6},
		Child{Process: Process{Host: "here", App: "b", Name: "node-3", Role: "node"}, State: "errored", LastEnd: "signal: killed"},
	)
	samples, err := h.Samples(t.Context())
	if err != nil || len(samples) != 6 {
		t.Fatalf("%s, %v", asJSON(t, samples), err)
	}
	for i, want := range []Sample{
		{Process: Process{Name: "worker-1", PID: 1}, Sessions: 3, Memory: 7, State: "ready", Restarts: 4},
		{Process: Process{Name: "nodehost", PID: 2}, Memory: 100},
		{Process: Process{Name: "node-1", PID: 3}, Sessions: 5, Heap: 9, Memory: 100},
		{Process: Process{Name: "node-2", PID: 4}, Sessions: 6, Memory: 100},
		{Process: Process{Name: "node-3"}, State: "errored", LastEnd: "signal: killed"},
	} {
		got := samples[i]
		if got.Host != "here" || got.Name != want.Name || got.PID != want.PID || got.Sessions != want.Sessions || got.Memory != want.Memory ||
			got.Heap != want.Heap || got.State != want.State || got.Restarts != want.Restarts || got.LastEnd != want.LastEnd {
			t.Errorf("%s\nwant %s", asJSON(t, got), asJSON(t, want))
		}
	}
	if clients, err := h.Clients(t.Context(), Query{}); err != nil || len(clients.Rows) != 1 || clients.Rows[0].Process.Host != "here" {
		t.Errorf("%s, %v", asJSON(t, clients), err)
	}
	if ended, err := h.Ended(t.Context(), Query{}); err != nil || len(ended.Rows) != 1 || ended.Rows[0].Process.Name != "worker-1" {
		t.Errorf("%s, %v", asJSON(t, ended), err)
	}
	mine, err := h.App("a").Samples(t.Context())
	if err != nil || len(mine) != 2 || mine[0].Name != "worker-1" || mine[1].Role != "host" {
		t.Errorf("of one app: %s, %v", asJSON(t, mine), err)
	}
	if clients, err := h.App("b").Clients(t.Context(), Query{}); err != nil || len(clients.Rows) != 0 {
		t.Errorf("of the other app: %s, %v", asJSON(t, clients), err)
	}
}

func TestHostWithAnAbsentChild(t *testing.T) {
	h := hostOf(t, Child{Process: Process{Name: "worker-1", PID: 1}, Socket: filepath.Join(t.TempDir(), "nobody")})
	samples, err := h.Samples(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nobody") || len(samples) != 2 || samples[0].Memory != 100 {
		t.Errorf("%s, %v", asJSON(t, samples), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.sampling <- struct{}{} // somebody samples
	if _, err := h.Samples(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("a viewer who has left: %v", err)
	}
	<-h.sampling
}

// TestHostAsksOnceForAllViewers: a sample serves everybody for a second.
func TestHostAsksOnceForAllViewers(t *testing.T) {
	asked := 0
	h := NewHost(HostConfig{Self: func() Sample { return Sample{} }, Children: func() []Child { asked++; return nil }})
	synctest.Test(t, func(t *testing.T) {
		for range 10 {
			if _, err := h.Samples(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		first := asked
		time.Sleep(freshFor)
		if _, err := h.Samples(t.Context()); err != nil || asked != 2*first {
			t.Errorf("asked %d times, then %d, %v", first, asked, err)
		}
	})
}

// TestHistory follows a process over its restart, and one that ends.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var children atomic.Pointer[[]Child]
		var cpu atomic.Int64
		at := func(name string, pid, sessions int) Child {
			return Child{Process: Process{App: "app", Name: name, PID: pid, Started: time.Now()}, Sessions: sessions}
		}
		children.Store(&[]Child{at("worker-1", 1, 3), at("worker-2", 2, 4)})
		h := NewHost(HostConfig{
			Self: func() Sample { return Sample{Process: Process{Name: "supervisor"}, At: time.Now()} }, Children: func() []Child { return *children.Load() },
			Usage: func(int) (int64, time.Duration) { return 10, time.Duration(cpu.Load()) },
		})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.Run(ctx)
		}()
		for i := range 3 {
			time.Sleep(sampleEvery)
			synctest.Wait()
			cpu.Add(int64(sampleEvery / 2))
			if i == 1 {
				children.Store(&[]Child{at("worker-1", 3, 1)})
				cpu.Store(0)
			}
		}
		points, err := h.History(ctx)
		if err != nil || len(points) != 3 {
			t.Fatalf("%s, %v", asJSON(t, points), err)
		}
		for i, want := range []Point{{Sessions: 7, Memory: 20}, {Sessions: 7, CPU: 1, Memory: 20}, {Sessions: 1, Memory: 10}} {
			got := points[i]
			if got.Sessions != want.Sessions || got.CPU != want.CPU || got.Memory != want.Memory || got.Step != sampleEvery || !got.At.Equal(got.At.Truncate(sampleEvery)) {
				t.Errorf("point %d: %s\nwant %s", i, asJSON(t, got), asJSON(t, want))
			}
		}
		if own, err := h.App("app").History(ctx); err != nil || asJSON(t, own) != asJSON(t, points) {
			t.Errorf("of the app: %s, %v", asJSON(t, own), err)
		}
		children.Store(&[]Child{})
		time.Sleep((keptPoints + 3) * sampleEvery)
		synctest.Wait()
		points, err = h.History(ctx)
		if err != nil || len(points) != keptPoints || points[0].At.After(points[1].At) {
			t.Errorf("%d points, %v", len(points), err)
		}
		if own, err := h.App("app").History(ctx); err != nil || len(own) != 0 {
			t.Errorf("of an app that is gone: %d points, %v", len(own), err)
		}
		stop()
		<-done
	})
}

// TestHistoryBridgesASilentChild: a child that is busy for a moment keeps its sessions.
func TestHistoryBridgesASilentChild(t *testing.T) {
	h := NewHost(HostConfig{})
	at := time.Unix(1000, 0)
	of := Process{Name: "worker-1", PID: 1, Started: at.Add(-time.Hour)}
	step := func(s Sample, silent bool) Point {
		at = at.Add(sampleEvery)
		s.Process, s.At = of, at
		h.silent = map[identity]bool{identityOf(&of): silent}
		h.remember(at, []Sample{s})
		all := h.points("")
		return all[len(all)-1]
	}
	step(Sample{Sessions: 5, EventsIn: 100}, false)
	for i := range mostMissed {
		if p := step(Sample{}, true); p.Sessions != 5 || p.EventsIn != 0 {
			t.Errorf("silent %d times: %s", i+1, asJSON(t, p))
		}
	}
	if p := step(Sample{Sessions: 6, EventsIn: 300}, false); p.Sessions != 6 || p.EventsIn != 10 { // 200 in 20 s
		t.Errorf("after the silence: %s", asJSON(t, p))
	}
	for range mostMissed {
		step(Sample{}, true)
	}
	if p := step(Sample{}, true); p.Sessions != 0 {
		t.Errorf("silent for long: %s", asJSON(t, p))
	}
}
