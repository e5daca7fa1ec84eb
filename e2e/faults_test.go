//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// TestKillWorker: its clients reconnect elsewhere, its sids are unknown at once, and nobody waits
// for it.
func TestKillWorker(t *testing.T) {
	_, hosts := pair(t)
	node := harness.StartNode(t)
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()

	const victims = "victim"
	node.Must("connect", args{"name": victims, "url": hosts[0].URL, "options": args{"transports": []string{"websocket"}}}, nil)
	var me whoami
	node.Must("ask", args{"name": victims, "event": "whoami"}, &me)
	polling := pollerOn(ctx, t, hosts[0], me.Worker)
	owner := hosts[0] // any router may have chosen a worker of any host
	if me.Host == hosts[1].Name {
		owner = hosts[1]
	}
	harness.KillPID(t, owner.Worker(t, me.Worker).PID)
	if e := node.Next(victims, "disconnect"); e.Reason != "transport close" {
		t.Errorf("disconnected for %q", e.Reason)
	}
	node.Next(victims, "connect") // that of the start
	node.Next(victims, "connect")
	var after whoami
	node.Must("ask", args{"name": victims, "event": "whoami"}, &after)
	if after.Worker == me.Worker || after.ID == me.ID {
		t.Errorf("still %+v after the death of its worker", after)
	}
	for _, h := range hosts {
		status, body := harness.Get(ctx, t, h.URL+"/socket.io/?EIO=4&transport=polling&sid="+polling.SID)
		if status != 400 || body != `{"code":1,"message":"Session ID unknown"}` {
			t.Errorf("at %s a dead worker's sid gets %d %s", h.Name, status, body)
		}
	}
	var count int
	node.Must("ask", args{"name": victims, "event": "count"}, &count)
	if count != 1 {
		t.Errorf("%d sockets counted", count)
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 4) // the supervisor has replaced it
	}
}

// pollerOn opens polling sessions until one is owned by the worker.
func pollerOn(ctx context.Context, t *testing.T, h *harness.Host, worker string) *harness.Poller {
	t.Helper()
	for range 100 {
		p := &harness.Poller{HTTP: http.DefaultClient, Entries: []string{h.URL}}
		if err := p.Open(ctx); err != nil {
			t.Fatal(err)
		}
		if p.SID[:4] == worker {
			return p
		}
		if err := p.Close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("no session on worker %s", worker)
	return nil
}

// TestKillRouter: WebSockets that were passed on do not notice, and new connections are not
// refused.
func TestKillRouter(t *testing.T) {
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 2})
	node := harness.StartNode(t)
	node.Must("connect", args{"name": "stays", "url": host.URL, "options": args{"transports": []string{"websocket"}}}, nil)
	harness.KillPID(t, host.Child(t, "router").PID)
	var got string
	node.Must("ask", args{"name": "stays", "event": "echo", "args": []any{"still here"}}, &got)
	node.Must("connect", args{"name": "new", "url": host.URL}, nil) // waits in the listening socket, which the supervisor holds
	if got != "still here" || node.Happened("stays", "disconnect") {
		t.Errorf("the passed WebSocket noticed the router's death")
	}
	node.Must("ask", args{"name": "new", "event": "echo", "args": []any{"hello"}}, &got)
	if got != "hello" {
		t.Errorf("a new client got %q", got)
	}
}

// TestKillSupervisor: its processes end with it, and leave nothing.
func TestKillSupervisor(t *testing.T) {
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 2})
	children := host.Children(t)
	host.Process.Kill(t)
	for _, c := range children {
		harness.AwaitEnd(t, c.PID)
	}
	// The same address again: nobody holds it.
	again := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 1, Addr: host.Addr})
	again.Stop(t)
}

// TestStop: a stopped host ends with 0 and leaves no process.
func TestStop(t *testing.T) {
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 2})
	node := harness.StartNode(t)
	node.Must("connect", args{"name": "c", "url": host.URL, "options": args{"transports": []string{"websocket"}}}, nil)
	children := host.Children(t)
	if code := host.Stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if e := node.Next("c", "disconnect"); e.Reason != "transport close" {
		t.Errorf("the client was told %q", e.Reason)
	}
	for _, c := range children {
		harness.AwaitEnd(t, c.PID)
	}
}

// TestRedisAway: without Redis sessions stay and local clients hear each other; when it is back,
// both hosts do.
func TestRedisAway(t *testing.T) {
	redis, hosts := pair(t)
	node := harness.StartNode(t)
	for i, h := range hosts {
		node.Must("connect", args{"name": h.Name, "url": h.URL, "options": args{"transports": []string{"websocket"}}}, nil)
		node.Must("ask", args{"name": h.Name, "event": "join", "args": []any{fmt.Sprint("room", i)}}, nil)
	}
	redis.Kill()
	for _, h := range hosts {
		h.AwaitRedis(t, false)
	}
	for _, h := range hosts {
		node.Must("ask", args{"name": h.Name, "event": "say", "args": []any{args{"msg": "alone"}}}, nil)
		expectSaid(t, node, h.Name, "alone")
	}
	node.Must("connect", args{"name": "new", "url": hosts[0].URL}, nil)
	node.Must("close", args{"name": "new"}, nil)

	redis.Restart()
	for _, h := range hosts {
		h.AwaitRedis(t, true)
		h.AwaitWorkers(t, 4)
	}
	// Words said while Redis was away may be flushed now; the next ones reach everybody in any
	// case.
	node.Must("ask", args{"name": "host-a", "event": "say", "args": []any{args{"msg": "together"}}}, nil)
	for _, h := range hosts {
		heard(t, node, h.Name, "together")
	}
}

// heard reads on until the client hears msg.
func heard(t *testing.T, node *harness.Node, client, msg string) {
	t.Helper()
	for {
		e := node.NextMessage(client, "said")
		var said struct{ Msg string }
		decode(t, e.Args[0], &said)
		if said.Msg == msg {
			return
		}
	}
}

// TestBadStart: what can't work ends with one clear line and code 2.
func TestBadStart(t *testing.T) {
	busy := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 1})
	for _, c := range []struct {
		name string
		env  []string
		says string
	}{
		{"address in use", []string{"SIDEREAL_ADDR=" + busy.Addr}, busy.Addr},
		{"wrong variable", []string{"SIDEREAL_BALANCE=sideways"}, "SIDEREAL_BALANCE"},
		{"malformed URL", []string{"SIDEREAL_REDIS_URL=http://redis"}, "SIDEREAL_REDIS_URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := harness.StartUp(t, append([]string{"SIDEREAL_ADDR=127.0.0.1:0", "SIDEREAL_ADMIN_ADDR=off"}, c.env...))
			if code := p.Wait(t); code != 2 {
				t.Errorf("exit code %d", code)
			}
			p.Output.Wait(t, 0, c.says, harness.Contains(c.says))
		})
	}
}

// TestStoppedRedis: a frozen Redis is waited for, and said so.
func TestStoppedRedis(t *testing.T) {
	redis, hosts := pair(t)
	redis.Stop()
	node := harness.StartNode(t)
	node.Must("connect", args{"name": "c", "url": hosts[0].URL, "options": args{"transports": []string{"polling"}}}, nil)
	redis.Cont()
	var got string
	node.Must("ask", args{"name": "c", "event": "echo", "args": []any{"hello"}}, &got)
	if got != "hello" {
		t.Errorf("echo says %q", got)
	}
}

// TestFrozenWorker: a worker that is stopped gets nobody new, on either host, and is replaced.
func TestFrozenWorker(t *testing.T) {
	_, hosts := pair(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*harness.Patience)
	defer cancel()
	frozen := hosts[0].Child(t, "worker-1")
	if err := syscall.Kill(frozen.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts { // both have heard of it
		h.AwaitWorkers(t, 3)
	}
	for i := range 60 { // who comes now is served, whether it is frozen still or replaced already
		p := &harness.Poller{HTTP: http.DefaultClient, Entries: []string{hosts[i%2].URL}}
		if err := p.Open(ctx); err != nil {
			t.Fatalf("newcomer %d: %v", i, err)
		}
		if p.SID[:4] == frozen.Worker {
			t.Errorf("newcomer %d is on the frozen worker", i)
		}
		if _, err := p.Ask(ctx, 1, "whoami"); err != nil {
			t.Errorf("newcomer %d: %v", i, err)
		}
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 4)
	}
	if again := hosts[0].Child(t, "worker-1"); again.PID == frozen.PID {
		t.Error("the frozen worker was not replaced")
	}
}
