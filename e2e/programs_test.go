//go:build e2e && linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// program is an app whose processes each listen on a PORT of their own. It knows the events join and
// say, and carries rooms over the Redis that REDIS_URL names.
type program struct {
	script          string // below the repository's root
	interpreter     string
	interpreterArgs []string
	transports      [][]string
}

var allTransports = [][]string{{"polling"}, {"websocket"}, {"polling", "websocket"}}

// bun and deno are the runtimes' programs, from npm packages for one kind of machine.
func bun(t *testing.T) string  { return runtimeOf(t, "@oven/bun-linux-x64-baseline/bin/bun") }
func deno(t *testing.T) string { return runtimeOf(t, "@deno/linux-x64-glibc/deno") }

func runtimeOf(t *testing.T, file string) string {
	t.Helper()
	path := filepath.Join(harness.Root(), "e2e", "node_modules", file)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("TESTKIT_REQUIRE") != "" && runtime.GOARCH == "amd64" {
			t.Fatal(err)
		}
		t.Skipf("npm has not installed it: %v", err)
	}
	return path
}

// python returns a Python that has all these modules: Debian's, or the first in PATH.
func python(t *testing.T, modules ...string) string {
	t.Helper()
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(path, "-c", "import "+strings.Join(modules, ",")).Run() == nil {
			return path
		}
	}
	if os.Getenv("TESTKIT_REQUIRE") != "" {
		t.Fatalf("no Python has %s: scripts/deps.sh test installs Debian's packages", modules)
	}
	t.Skipf("no Python has %s", modules)
	return ""
}

// file writes a process file for the program.
func (p program) file(t *testing.T, fields map[string]any) string {
	t.Helper()
	app := map[string]any{
		"name": "app", "script": filepath.Join(harness.Root(), p.script), "interpreter": p.interpreter,
		"interpreter_args": p.interpreterArgs,
	}
	for name, value := range fields {
		app[name] = value
	}
	text, err := json.Marshal(map[string]any{"apps": []any{app}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "app.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hosts starts the program with two processes on each of two hosts.
func (p program) hosts(t *testing.T) (hosts []*harness.Host) {
	t.Helper()
	redis := testkit.StartRedis(t).URL()
	file := p.file(t, map[string]any{"instances": 2, "exec_mode": "cluster", "env": map[string]string{"REDIS_URL": redis}})
	for i := range 2 {
		home, err := os.MkdirTemp("", "sh") // short: unix addresses are in it
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(home) })
		hosts = append(hosts, harness.StartHost(t, harness.HostConfig{
			Name: fmt.Sprint("host-", i), RedisURL: redis, App: []string{file}, Env: []string{"SIDEREAL_BALANCE_SLACK=0", "SIDEREAL_HOME=" + home},
		}))
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 4)
	}
	return hosts
}

// talk has clients with each transport at each host, and one whose requests enter at random. All of
// them hear what one says in their room, and all of them are counted.
func (p program) talk(t *testing.T, hosts []*harness.Host) {
	t.Helper()
	node := harness.StartNode(t)
	var names, entries []string
	pids := map[int]bool{}
	for i, h := range hosts {
		entries = append(entries, h.URL)
		for j, transports := range slices.Concat(p.transports, p.transports) {
			name := fmt.Sprintf("client%d-%d", i, j)
			var got struct{ Refused string }
			if node.Must("connect", args{"name": name, "url": h.URL, "options": args{"transports": transports}}, &got); got.Refused != "" {
				t.Fatalf("%s over %v: %s", name, transports, got.Refused)
			}
			if len(transports) > 1 {
				node.Next(name, "upgrade")
			}
			var pid int
			node.Must("ask", args{"name": name, "event": "join", "args": []any{"room"}}, &pid)
			pids[pid] = true
			names = append(names, name)
		}
	}
	if len(pids) < 2 {
		t.Errorf("all clients are at the processes %v", pids)
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	random := &harness.Poller{HTTP: http.DefaultClient, Entries: entries}
	if err := random.Open(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := random.Ask(ctx, 1, "join", "room"); err != nil {
		t.Fatal(err)
	}
	node.Must("emit", args{"name": names[0], "event": "say", "args": []any{"room", "hello"}}, nil)
	for _, name := range names {
		if e := node.NextMessage(name, "said"); len(e.Args) != 1 || string(e.Args[0]) != `"hello"` {
			t.Errorf("%s heard %s", name, e.Args)
		}
	}
	if got, err := random.Until(ctx, `42["said"`); err != nil || got != `42["said","hello"]` {
		t.Errorf("at random entries: %s, %v", got, err)
	}
	awaitCounted(t, hosts[0], len(names)+1)
	if err := random.Close(ctx); err != nil {
		t.Error(err)
	}
	for _, name := range names {
		node.Must("close", args{"name": name}, nil)
	}
	awaitCounted(t, hosts[1], 0)
}

// awaitCounted waits until a host sees so many sessions in the cluster.
func awaitCounted(t *testing.T, h *harness.Host, n int) {
	t.Helper()
	testkit.Until(t, fmt.Sprintf("%d sessions of all programs", n), func() bool {
		var cluster struct{ Sessions int }
		h.Ask(t, "/cluster", &cluster)
		return cluster.Sessions == n
	})
}

// TestPythonServers: python-socketio and Flask-SocketIO on two hosts, as Debian has them.
func TestPythonServers(t *testing.T) {
	python := python(t, "socketio", "flask_socketio", "uvicorn", "websockets", "redis", "eventlet")
	for name, p := range map[string]program{
		"asgi":  {script: "examples/python/app.py", interpreter: python, transports: allTransports},
		"wsgi":  {script: "examples/python/threads.py", interpreter: python, transports: [][]string{{"polling"}}},
		"flask": {script: "examples/python/flaskapp.py", interpreter: python, transports: allTransports},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.talk(t, p.hosts(t))
		})
	}
}

// runtimes are what isn't Node, but has its interfaces.
func runtimes(t *testing.T) map[string]program {
	t.Helper()
	return map[string]program{
		"bun":  {script: "e2e/js/runtime.mjs", interpreter: bun(t), transports: allTransports},
		"deno": {script: "e2e/js/runtime.mjs", interpreter: deno(t), interpreterArgs: []string{"run", "-A"}, transports: allTransports},
	}
}

// TestOtherRuntimesInClusterMode: Bun and Deno on two hosts, as any program with a port.
func TestOtherRuntimesInClusterMode(t *testing.T) {
	for name, p := range runtimes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.talk(t, p.hosts(t))
		})
	}
}

// TestOtherRuntimesInForkMode: one process listens by itself, says "ready" over its IPC channel, and
// is restarted.
func TestOtherRuntimesInForkMode(t *testing.T) {
	for name, p := range runtimes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackground(t)
			port := testkit.FreePort(t)
			file := p.file(t, map[string]any{"wait_ready": true, "listen_timeout": 60000, "env": map[string]any{"PORT": port}})
			b.must("", "start", file)
			node := harness.StartNode(t)
			url := fmt.Sprint("http://127.0.0.1:", port)
			for range 2 {
				l := b.list()
				if len(l.Processes) != 1 || l.Processes[0].Status != daemon.Online {
					t.Fatalf("%+v", l.Processes)
				}
				name := fmt.Sprint("client", l.Processes[0].PID)
				node.Must("connect", args{"name": name, "url": url}, nil)
				var pid int
				if node.Must("ask", args{"name": name, "event": "join", "args": []any{"room"}}, &pid); pid != l.Processes[0].PID {
					t.Errorf("process %d answers, %d is listed", pid, l.Processes[0].PID)
				}
				node.Must("close", args{"name": name}, nil)
				b.must("", "restart", "app")
			}
		})
	}
}

// TestCommandWithAPort: the command lines of docs/in-front.md, whose shell reads PORT, and what their
// server is told.
func TestCommandWithAPort(t *testing.T) {
	testkit.Need(t, "python3")
	addr := harness.Loopback(t)
	b := newBackground(t, "SIDEREAL_ADDR="+addr)
	program := filepath.Join(harness.Root(), "internal", "node", "testdata", "program.py")
	b.must(t.TempDir(), "start", "exec python3 "+program+" $PORT", "-i", "2", "--name", "shop")
	b.eventually("both processes", func(l daemon.Listing) bool {
		return len(l.Processes) == 2 && l.Processes[0].Worker != "" && l.Processes[1].Worker != ""
	})
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	if status, body := harness.Get(ctx, t, "http://"+addr+"/page"); status != 200 || body != "/page" {
		t.Errorf("%d %q", status, body)
	}
	if status, body := harness.Get(ctx, t, "http://"+addr+"/seen"); status != 200 || !strings.Contains(body, `"for": ["127.0.0.1"], "client": ["127.0.0.1:`) {
		t.Errorf("%d %s", status, body)
	}
}
