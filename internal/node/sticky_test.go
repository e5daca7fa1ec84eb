package node

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

const (
	worker   = "testdata/worker.js"
	plain    = "testdata/plain.js"
	adapter3 = "ADAPTER=@socket.io/cluster-adapter"
	adapter2 = "ADAPTER=cluster-adapter-0.2"
	sticky2  = "STICKY=@socket.io/sticky"
	sticky1  = "STICKY=sticky-1"
)

// TestUnmodifiedWorkers runs the worker of @socket.io/pm2's documentation, with both generations of
// its packages.
func TestUnmodifiedWorkers(t *testing.T) {
	for name, env := range map[string][]string{
		"sticky 2, adapter 0.3": {sticky2, adapter3},
		"sticky 1, adapter 0.2": {sticky1, adapter2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			list := w.workers(2, how{script: worker, env: env})
			if r := w.await(list[0].id, lifeline.ChildReady); r.By != bySticky || r.Worker == "" {
				t.Errorf("ready by %q as %q", r.By, r.Worker)
			}
			url := w.router("app", 2)
			w.check("transports", map[string]any{"url": url})
			w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2, "raw": true})
			w.check("keepalive", map[string]any{"url": url, "sessions": 20})
			w.check("burst", map[string]any{"url": url, "sessions": 400, "parallel": 40})
		})
	}
}

func TestESModulesAndAppsThatBranch(t *testing.T) {
	w := newWorld(t)
	w.workers(2, how{script: "testdata/esm.mjs"})
	url := w.router("app", 2)
	w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2, "raw": true})
}

// TestReadyByItsOwnWord: a worker of sticky that says that it is ready has its place in the
// directory told afterwards.
func TestReadyByItsOwnWord(t *testing.T) {
	w := newWorld(t)
	p := w.node(how{script: worker, env: []string{adapter3, "READY=1"}, waitReady: true})
	if r := w.await(p.id, lifeline.ChildReady); r.By != byMessage {
		t.Errorf("ready by %q", r.By)
	}
	testkit.Until(t, "its place", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.ContainsFunc(w.reports, func(r lifeline.ChildReport) bool { return r.State == lifeline.ChildReady && r.Worker != "" })
	})
	w.check("say", map[string]any{"url": w.router("app", 1)})
}

// TestWithoutTheScript: a process that was started without our preloaded script is reached all the
// same.
func TestWithoutTheScript(t *testing.T) {
	w := newWorld(t)
	w.workers(2, how{script: worker, env: []string{adapter3}, bare: true})
	url := w.router("app", 2)
	w.check("keepalive", map[string]any{"url": url, "sessions": 20})
}

// TestListeningWorkers: an app that only listens is routed by sid, and its WebSockets are its own.
func TestListeningWorkers(t *testing.T) {
	w := newWorld(t)
	port := testkit.FreePort(t)
	list := w.workers(2, how{script: worker, env: []string{adapter3, "PORT=" + strconv.Itoa(port)}})
	if r := w.await(list[1].id, lifeline.ChildReady); r.By != byListening {
		t.Errorf("ready by %q", r.By)
	}
	url := w.router("app", 2)
	w.check("transports", map[string]any{"url": url})
	w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2})
	w.check("keepalive", map[string]any{"url": url, "sessions": 20})
	if n := testutil.ToFloat64(w.metrics.connections.WithLabelValues("client")); n == 0 {
		t.Error("no WebSocket was given to its worker")
	}
}

// TestPorts: those of one process are apart from each other, and what cannot be balanced is shared.
func TestPorts(t *testing.T) {
	w := newWorld(t)
	one, two, taken := testkit.FreePort(t), testkit.FreePort(t), testkit.FreePort(t)
	var asked []string
	w.listens = func(addr string) (told lifeline.ListenedTold) {
		asked = append(asked, addr)
		if strings.HasSuffix(addr, ":"+strconv.Itoa(taken)) {
			told.Error = "EADDRINUSE"
		}
		return told
	}
	path := filepath.Join(t.TempDir(), "own.sock")
	ports := strings.Join([]string{strconv.Itoa(one), strconv.Itoa(two), strconv.Itoa(taken), path, "0"}, ",")
	w.workers(2, how{script: plain, env: []string{"PORTS=" + ports}})
	for app, want := range map[string]int{"app": one, "app:" + strconv.Itoa(two): two} {
		if status, body := get(t, w.router(app, 2)+"/"); status != 200 || !strings.HasPrefix(body, strconv.Itoa(want)+" ") || !strings.HasSuffix(body, "127.0.0.1") {
			t.Errorf("%s: %d %s", app, status, body)
		}
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", path)
	}}}
	resp, err := client.Get("http://own/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	w.mu.Lock()
	if slices.Sort(asked); len(slices.Compact(asked)) != 3 {
		t.Errorf("asked for %q, want the three ports, and nothing of what is shared", asked)
	}
	w.mu.Unlock()
}

// TestSidePortFromAnotherHost: what is behind a further port is reached from other hosts through
// the router of that port.
func TestSidePortFromAnotherHost(t *testing.T) {
	a := newWorld(t)
	b := newWorldOn(t, a.redis)
	one, two := testkit.FreePort(t), testkit.FreePort(t)
	side := listenLocal(t)
	a.listens = func(addr string) (told lifeline.ListenedTold) {
		if strings.HasSuffix(addr, ":"+strconv.Itoa(two)) {
			told.Advertise = side.Addr().String()
		}
		return told
	}
	a.workers(1, how{script: plain, env: []string{fmt.Sprintf("PORTS=%d,%d", one, two)}})
	app := directory.PortApp("app", two)
	a.routerOn(side, app, 1)
	a.endpoint(1)
	for app, want := range map[string]int{"app": one, app: two} {
		if status, body := get(t, b.router(app, 1)+"/"); status != 200 || !strings.HasPrefix(body, strconv.Itoa(want)+" ") {
			t.Errorf("%s: %d %s", app, status, body)
		}
	}
}

// TestOtherPrograms: any program that listens on its port is routed.
func TestOtherPrograms(t *testing.T) {
	w := newWorld(t)
	for i := range 2 {
		port := testkit.FreePort(t)
		told, _ := json.Marshal(lifeline.PortTold{ID: strconv.Itoa(100 + i), Name: "program", Slot: i + 1, Addr: "127.0.0.1:" + strconv.Itoa(port)})
		w.told(lifeline.Told{Key: lifeline.Port, Value: string(told)}) // before it listens
		w.startProgram(worker, []string{"PORT=" + strconv.Itoa(port), "ADDRESS=127.0.0.1"})
		if r := w.await(strconv.Itoa(100+i), lifeline.ChildReady); r.By != byPort {
			t.Errorf("ready by %q", r.By)
		}
	}
	url := w.router("app", 2)
	w.check("keepalive", map[string]any{"url": url, "sessions": 10})
	w.check("say", map[string]any{"url": url}) // over WebSocket
	w.told(lifeline.Told{Key: lifeline.Drain, Value: "100"})
	w.await("100", lifeline.ChildDrained)
	w.told(lifeline.Told{Key: lifeline.Exited, Value: "100"})
	w.awaitReady(w.directoryOf("app"), 1)
}

// TestSessionsOfProgramsAreCounted: by their own host, whichever hosts their requests enter at, and
// whatever transport they use.
func TestSessionsOfProgramsAreCounted(t *testing.T) {
	a := newWorld(t)
	b := newWorldOn(t, a.redis)
	for _, w := range []*world{a, b} {
		port := testkit.FreePort(t)
		w.startProgram(worker, []string{"PORT=" + strconv.Itoa(port), "ADDRESS=127.0.0.1"})
		w.program("127.0.0.1:" + strconv.Itoa(port))
	}
	atA, atB := a.announced(), b.announced()
	entries := []string{a.routerOn(atA, "app", 2), b.routerOn(atB, "app", 2)}
	c := a.startCheck("stay", map[string]any{"urls": entries, "clients": 4})
	c.line("there")
	d := a.directoryOf("app")
	count := func() (all, least int) {
		least = math.MaxInt
		for _, w := range d.Workers().All() {
			all, least = all+w.Clients, min(least, w.Clients)
		}
		return all, least
	}
	var least int
	testkit.Await(t, "all sessions to be counted", d.Changed, func() bool {
		var all int
		all, least = count()
		return all == 24
	})
	if least == 0 {
		t.Error("one program has all sessions")
	}
	if _, err := c.stdin.Write([]byte("over\n")); err != nil {
		t.Fatal(err)
	}
	c.line("done")
	testkit.Await(t, "all sessions to have ended", d.Changed, func() bool {
		all, _ := count()
		return all == 0
	})
	c.end()
}

// TestMannersOfSupervisors: PM2's ready and shutdown, recluster's wish to be replaced, in cluster
// and in fork mode.
func TestMannersOfSupervisors(t *testing.T) {
	w := newWorld(t)
	for _, h := range []how{
		{script: plain, env: []string{"MODE=ready recluster"}, waitReady: true},
		{script: plain, env: []string{"MODE=ready recluster"}, waitReady: true, forked: true, mode: ipc.JSON},
	} {
		p := w.node(h)
		if r := w.await(p.id, lifeline.ChildReady); r.By != byMessage {
			t.Errorf("ready by %q", r.By)
		}
		if r := w.await(p.id, lifeline.ChildMessage); string(r.Message) != `{"cmd":"disconnect"}` {
			t.Errorf("message %s", r.Message)
		}
		w.await(p.id, lifeline.ChildAlive)
		w.told(lifeline.Told{Key: lifeline.Send, Value: `{"id":"` + p.id + `","message":"shutdown"}`})
		p.cmd.Wait()
		if code := p.cmd.ProcessState.ExitCode(); code != 7 {
			t.Errorf("it ended with %d, want its own answer to shutdown", code)
		}
		w.gone(p.id)
	}
}

// TestReclustersWorkers: one that says that it is ready as they do is told to leave as they are,
// once its sessions have left.
func TestReclustersWorkers(t *testing.T) {
	w := newWorld(t)
	p := w.node(how{script: plain, env: []string{"MODE=cmd"}, waitReady: true})
	if r := w.await(p.id, lifeline.ChildReady); r.By != byMessage {
		t.Errorf("ready by %q", r.By)
	}
	w.told(lifeline.Told{Key: lifeline.Drain, Value: p.id})
	p.cmd.Wait()
	if code := p.cmd.ProcessState.ExitCode(); code != 8 {
		t.Errorf("it ended with %d, want its own answer to disconnect", code)
	}
	w.await(p.id, lifeline.ChildDrained)
}

// TestWaitReadyKeepsRoutersAway: a worker that is to say when it is ready gets nothing before.
func TestWaitReadyKeepsRoutersAway(t *testing.T) {
	w := newWorld(t)
	port := testkit.FreePort(t)
	w.workers(1, how{script: plain, env: []string{"PORTS=" + strconv.Itoa(port)}})
	silent := w.node(how{script: plain, env: []string{"PORTS=" + strconv.Itoa(port)}, waitReady: true})
	d := w.directoryOf("app")
	testkit.Until(t, "both to be known", func() bool { return len(d.Workers().All()) == 2 })
	w.await(silent.id, lifeline.ChildAlive)
	if ready := len(d.Workers().Ready()); ready != 1 {
		t.Errorf("%d are ready, one of which has not said so", ready)
	}
}

// TestADeadWorkerIsNotWaitedFor: the others are told at once, in both generations.
func TestADeadWorkerIsNotWaitedFor(t *testing.T) {
	for name, env := range map[string][]string{"0.3": {sticky2, adapter3}, "0.2": {sticky1, adapter2}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			list := w.workers(3, how{script: worker, env: env})
			w.router("app", 3)
			list[2].cmd.Process.Signal(syscall.SIGKILL)
			w.gone(list[2].id)
			url := w.router("app", 2)
			w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2})
		})
	}
}

// TestDrainMovesSessions: clients of a draining worker find another by themselves, and none is told
// an error.
func TestDrainMovesSessions(t *testing.T) {
	w := newWorld(t)
	list := w.workers(2, how{script: worker, env: []string{adapter3}})
	url := w.router("app", 2)
	c := w.startCheck("drain", map[string]any{"url": url, "pid": list[0].cmd.Process.Pid})
	c.line("there")
	w.told(lifeline.Told{Key: lifeline.Drain, Value: list[0].id})
	w.await(list[0].id, lifeline.ChildDrained)
	c.line("done")
	c.end()
}

// TestSessionsThatEndAreNotWaitedFor: a client that polls ends its session with a message, and
// nothing is moved for it.
func TestSessionsThatEndAreNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	p := w.workers(1, how{script: worker, env: []string{adapter3}})[0]
	c := w.startCheck("leave", map[string]any{"url": w.router("app", 1)})
	c.line("left")
	testkit.Until(t, "the session that is left", func() bool { return w.child(p.id).load() == 1 })
	w.told(lifeline.Told{Key: lifeline.Drain, Value: p.id})
	w.await(p.id, lifeline.ChildDrained)
	c.stdin.Write([]byte("over\n"))
	c.line("done")
	c.end()
}

// TestReloadUnderLoad replaces all workers while their clients talk: no request fails, and nobody
// is told more than that the transport closed.
func TestReloadUnderLoad(t *testing.T) {
	for name, env := range map[string][]string{"sticky 2": {sticky2, adapter3}, "sticky 1": {sticky1, adapter2}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.cfg.DrainRate = 50
			old := w.workers(2, how{script: worker, env: env})
			url := w.router("app", 2)
			c := w.startCheck("load", map[string]any{"url": url, "clients": 40})
			c.line("talking")
			for _, p := range old {
				w.workers(1, how{script: worker, env: env})
				w.leave(p)
			}
			c.stdin.Write([]byte("over\n"))
			c.line("done")
			c.end()
		})
	}
}

// TestHostileWorkers: what they send costs themselves at most.
func TestHostileWorkers(t *testing.T) {
	w := newWorld(t)
	w.cfg.MaxFrame = 1 << 20
	w.workers(2, how{script: worker, env: []string{adapter3}})
	url := w.router("app", 2)
	for _, mode := range []string{"malformed", "deep"} {
		p := w.hostile(mode)
		w.await(p.id, lifeline.ChildReady) // it is heard after all
	}
	huge := w.hostile("huge")
	w.gone(huge.id)
	w.hostile("endless")
	w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2})
}

// TestAWorkerThatStopsReading loses its channel when too much waits for it, and nobody else feels
// it.
func TestAWorkerThatStopsReading(t *testing.T) {
	w := newWorld(t)
	w.cfg.MaxUnread = 1 << 20
	list := w.workers(3, how{script: worker, env: []string{adapter3}})
	list[2].cmd.Process.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { list[2].cmd.Process.Signal(syscall.SIGCONT) })
	message, _ := json.Marshal(lifeline.SendTold{ID: list[2].id, Message: json.RawMessage(`"` + strings.Repeat("x", 100_000) + `"`)})
	for range 50 {
		w.told(lifeline.Told{Key: lifeline.Send, Value: string(message)})
	}
	w.gone(list[2].id)
	if n := testutil.ToFloat64(w.metrics.uncarried.WithLabelValues("unread")); n == 0 {
		t.Error("what it left unread isn't counted")
	}
	if text := "channel closed: the process doesn't read its messages"; !strings.Contains(w.logged.String(), text) {
		t.Errorf("the log doesn't say %q", text)
	}
	url := w.router("app", 2)
	w.check("cluster", map[string]any{"urls": []any{[]any{url, 2}}, "servers": 2})
}

// TestEndOfTheHostEndsItsWorkers: their channels close, as when Node's primary dies.
func TestEndOfTheHostEndsItsWorkers(t *testing.T) {
	w := newWorld(t)
	list := w.workers(2, how{script: worker, env: []string{adapter3}})
	w.stop()
	for _, p := range list {
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("%v, want exit 0", err)
		}
	}
}
