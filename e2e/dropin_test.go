//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// pm2 is who has used @socket.io/pm2 until now, with a home and a port of his own.
type pm2 struct {
	t    *testing.T
	port int
	env  []string
}

// newPM2 has everything that was started ended with the test.
func newPM2(t *testing.T) *pm2 {
	p := &pm2{t: t, port: testkit.FreePort(t)}
	home, err := os.MkdirTemp("", "pm2") // short: a socket's address is in it
	if err != nil {
		t.Fatal(err)
	}
	p.env = append(os.Environ(), "SIDEREAL_HOME="+home, fmt.Sprint("PM2_PORT=", p.port), "SIDEREAL_ADMIN_ADDR=off", "SIDEREAL_DRAIN_RATE=1000")
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.try("logs", "--nostream", "--lines", "100"))
		}
		p.do("kill")
		os.RemoveAll(home)
	})
	return p
}

// try runs a command and returns what it printed.
func (p *pm2) try(args ...string) (string, error) { return p.within(harness.Patience, args...) }

func (p *pm2) within(d time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.Binary(), args...)
	cmd.Dir, cmd.Env = filepath.Join(harness.Root(), "e2e", "js", "dropin"), p.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%q: %w\n%s%s", args, err, out.String(), errs.String())
	}
	return out.String(), nil
}

func (p *pm2) do(args ...string) string {
	p.t.Helper()
	out, err := p.try(args...)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// pids are those of all processes, which must be online.
func (p *pm2) pids() (pids []int) {
	p.t.Helper()
	var list []struct {
		PID int
		Env struct{ Status string } `json:"pm2_env"`
	}
	if err := json.Unmarshal([]byte(p.do("jlist")), &list); err != nil {
		p.t.Fatal(err)
	}
	for _, l := range list {
		if l.Env.Status != "online" || l.PID == 0 {
			p.t.Errorf("process %d is %s", l.PID, l.Env.Status)
		}
		pids = append(pids, l.PID)
	}
	return pids
}

// answer is what a worker says of itself.
type answer struct {
	PID             int
	Instance, Stage string
}

// TestDropIn: a worker and a process file as the documentation of @socket.io/pm2 has them, not a
// line changed.
func TestDropIn(t *testing.T) {
	p := newPM2(t)
	if out := p.do("start", "ecosystem.config.js", "--env", "production"); !strings.Contains(out, "this host only") {
		t.Errorf("nothing says how far messages go:\n%s", out)
	}
	p.do("scale", "worker", "3")
	first := p.pids()
	if len(first) != 3 {
		t.Fatalf("%d processes", len(first))
	}
	node := harness.StartNode(t)
	names := p.connect(node)
	p.allWorkersTalk(node, names)

	// Replaced under their clients' feet, who come back by themselves and find the others.
	p.do("reload", "worker")
	second := p.pids()
	if len(second) != 3 || slices.ContainsFunc(second, func(pid int) bool { return slices.Contains(first, pid) }) {
		t.Errorf("reloaded from %v to %v", first, second)
	}
	for _, name := range names {
		node.Next(name, "connect") // the first
		node.Next(name, "connect")
	}
	p.allWorkersTalk(node, names)

	if out := p.do("logs", "worker", "--nostream", "--raw"); strings.Count(out, "worker 0 is up\n") != 2 {
		t.Errorf("logs:\n%s", out)
	}
	p.do("scale", "worker", "-2")
	if left := p.pids(); len(left) != 1 {
		t.Errorf("scaled to %v", left)
	}
	p.do("restart", "0")
	p.do("stop", "worker")
	if out := p.do("list"); !strings.Contains(out, "stopped") {
		t.Errorf("not stopped:\n%s", out)
	}
	p.do("delete", "all")

	// The other way to start it.
	p.do("start", "worker.js", "-i", "2")
	last := p.pids()
	if len(last) != 2 {
		t.Errorf("started %v", last)
	}
	p.do("kill")
	for _, pid := range append(append(last, first...), second...) {
		harness.AwaitEnd(t, pid)
	}
	if l, err := net.Listen("tcp", fmt.Sprint(":", p.port)); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		l.Close()
	}
}

// connect opens two clients of each transport.
func (p *pm2) connect(node *harness.Node) (names []string) {
	for i, transports := range [][]string{{"polling"}, {"websocket"}, {"polling", "websocket"}, {"polling"}, {"websocket"}, {"polling", "websocket"}} {
		name := "client-" + strconv.Itoa(i)
		node.Must("connect", args{"name": name, "url": fmt.Sprint("http://127.0.0.1:", p.port), "options": args{"transports": transports}}, nil)
		if len(transports) > 1 {
			node.Next(name, "upgrade")
		}
		names = append(names, name)
	}
	return names
}

// allWorkersTalk: every client has a worker, and hears all others whatever theirs is.
func (p *pm2) allWorkersTalk(node *harness.Node, names []string) {
	t := p.t
	t.Helper()
	workers := map[int]bool{}
	large := strings.Repeat("x", 600_000)
	for i, name := range names {
		var who answer
		node.Must("ask", args{"name": name, "event": "whoami"}, &who)
		if who.Stage != "production" {
			t.Errorf("the stage is %q", who.Stage)
		}
		workers[who.PID] = true
		for _, sent := range []any{"text", args{"$bin": "AAEC/w=="}, large} {
			var got any
			node.Must("ask", args{"name": name, "event": "echo", "args": []any{sent}}, &got)
			if fmt.Sprint(got) != fmt.Sprint(sent) {
				t.Errorf("%s: an echo differs: %.40q", name, fmt.Sprint(got))
			}
		}
		if i < 2 {
			node.Must("ask", args{"name": name, "event": "join", "args": []any{"room"}}, nil)
		}
	}
	if len(workers) < 2 {
		t.Errorf("all clients are with %v", workers)
	}
	node.Must("emit", args{"name": names[0], "event": "say", "args": []any{"", "all"}}, nil)
	for _, name := range names {
		node.NextMessage(name, "said")
	}
	node.Must("emit", args{"name": names[5], "event": "say", "args": []any{"room", "two"}}, nil)
	for _, name := range names[:2] {
		node.NextMessage(name, "said")
	}
	var count int
	if node.Must("ask", args{"name": names[3], "event": "count"}, &count); count != len(names) {
		t.Errorf("fetchSockets finds %d", count)
	}
	var others []int
	if node.Must("ask", args{"name": names[4], "event": "others"}, &others); len(others) != 2 {
		t.Errorf("serverSideEmit: %v", others)
	}
}

// TestDaemonIsKilled: with the daemon everything ends at once, and the next command finds a clean
// slate.
func TestDaemonIsKilled(t *testing.T) {
	p := newPM2(t)
	p.do("start", "worker.js", "-i", "2")
	workers := p.pids()
	var daemon struct{ PID int }
	if err := json.Unmarshal([]byte(p.do("ping", "--json")), &daemon); err != nil {
		t.Fatal(err)
	}
	harness.KillPID(t, daemon.PID)
	for _, pid := range workers {
		harness.AwaitEnd(t, pid)
	}
	if _, err := p.try("stop", "all"); err == nil {
		t.Error("a dead daemon obeys")
	}
	var exit *exec.ExitError
	if _, err := p.try("ping"); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ping: %v", err)
	}
	p.do("start", "worker.js", "-i", "2")
	if again := p.pids(); len(again) != 2 {
		t.Errorf("started %v", again)
	}
}
