//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// background is a home folder with the daemon of a test.
type background struct {
	t    *testing.T
	home daemon.Home
	env  []string
}

func newBackground(t *testing.T, env ...string) *background {
	t.Helper()
	dir, err := os.MkdirTemp("", "sh") // short: unix addresses are
	if err != nil {
		t.Fatal(err)
	}
	home, err := daemon.OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := &background{t: t, home: home, env: append([]string{"SIDEREAL_HOME=" + dir, "SIDEREAL_ADMIN_ADDR=off"}, env...)}
	t.Cleanup(func() {
		b.sidereal("", "kill")
		if t.Failed() {
			log, _ := os.ReadFile(home.Log())
			t.Logf("the daemon's log:\n%s", log)
		}
		os.RemoveAll(dir)
	})
	return b
}

// sidereal runs a command in a folder, to its end.
func (b *background) sidereal(dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, harness.Binary(), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), b.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (b *background) must(dir string, args ...string) {
	b.t.Helper()
	if out, err := b.sidereal(dir, args...); err != nil {
		b.t.Fatalf("sidereal %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (b *background) list() daemon.Listing {
	b.t.Helper()
	c, err := daemon.Connect(b.t.Context(), b.home)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	l, err := c.List(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

func (b *background) pid() int {
	b.t.Helper()
	c, err := daemon.Connect(b.t.Context(), b.home)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	info, err := c.Ping(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return info.PID
}

// stickyWorker is what the documentation of @socket.io/pm2 has for a worker, with events to see it
// by.
const stickyWorker = `const { createServer } = require("http");
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/cluster-adapter");
const { setupWorker } = require("@socket.io/sticky");

const httpServer = createServer();
const io = new Server(httpServer);
io.adapter(createAdapter());
setupWorker(io);
io.on("connection", (socket) => {
  socket.on("who", (ack) => ack({ pid: process.pid, instance: process.env.NODE_APP_INSTANCE }));
  socket.on("echo", (value, ack) => ack(value));
  socket.on("count", async (ack) => ack((await io.fetchSockets()).length));
});
`

const stickyFile = `module.exports = { apps: [{ name: "sio", script: "worker.js", instances: 2, exec_mode: "cluster" }] };
`

// TestUnmodifiedNodeWorkers runs the files of @socket.io/pm2's documentation as they are, and
// breaks each part under them.
func TestUnmodifiedNodeWorkers(t *testing.T) {
	addr := harness.Loopback(t)
	b := newBackground(t, "PM2_PORT="+addr[strings.LastIndex(addr, ":")+1:])
	dir := t.TempDir()
	for name, text := range map[string]string{"worker.js": stickyWorker, "ecosystem.config.js": stickyFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(harness.Root(), "e2e", "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	b.must(dir, "start")
	node := harness.StartNode(t)
	url := "http://" + addr
	seen := map[int]bool{}
	for i, transports := range [][]string{{"polling"}, {"websocket"}, {"polling", "websocket"}, {"polling"}, {"websocket"}, {"websocket"}} {
		name := "client" + strconv.Itoa(i)
		node.Must("connect", args{"name": name, "url": url, "options": args{"transports": transports}}, nil)
		var who struct{ PID int }
		node.Must("ask", args{"name": name, "event": "who"}, &who)
		seen[who.PID] = true
		var echo string
		if node.Must("ask", args{"name": name, "event": "echo", "args": []any{strings.Repeat("x", 100_000)}}, &echo); len(echo) != 100_000 {
			t.Errorf("%s: %d bytes came back", name, len(echo))
		}
	}
	if len(seen) != 2 {
		t.Errorf("all clients are on %d workers", len(seen))
	}
	var count int
	if node.Must("ask", args{"name": "client0", "event": "count"}, &count); count != 6 {
		t.Errorf("%d sockets in the cluster, want 6", count)
	}
	before := b.list()
	b.must(dir, "reload", "sio")
	for i, p := range b.list().Processes {
		if p.PID == before.Processes[i].PID || p.Status != daemon.Online || p.Instance != i {
			t.Errorf("%+v", p)
		}
	}
	node.Must("connect", args{"name": "after", "url": url}, nil)

	// A version that does not come up: the old one serves on, and the command says so.
	if err := os.WriteFile(filepath.Join(dir, "worker.js"), []byte("process.exit(1)"), 0o600); err != nil {
		t.Fatal(err)
	}
	before = b.list()
	out, err := b.sidereal(dir, "reload", "sio")
	if err == nil || !strings.Contains(out, "given up") {
		t.Errorf("%v: %s", err, out)
	}
	if after := b.list(); after.Processes[0].PID != before.Processes[0].PID || after.Processes[1].PID != before.Processes[1].PID {
		t.Errorf("%+v", after.Processes)
	}
	node.Must("connect", args{"name": "still", "url": url}, nil)
	if err := os.WriteFile(filepath.Join(dir, "worker.js"), []byte(stickyWorker), 0o600); err != nil {
		t.Fatal(err)
	}

	// A nodehost that dies takes its workers along; all come back.
	var nodehost int
	for _, s := range before.Apps["sio"].Services {
		if strings.HasSuffix(s.Name, "nodehost") {
			nodehost = s.PID
		}
	}
	syscall.Kill(nodehost, syscall.SIGKILL)
	b.eventually("new workers", func(l daemon.Listing) bool {
		for i, p := range l.Processes {
			if p.Status != daemon.Online || p.PID == before.Processes[i].PID {
				return false
			}
		}
		return true
	})
	node.Must("connect", args{"name": "again", "url": url}, nil)
}

func (b *background) eventually(what string, wanted func(daemon.Listing) bool) {
	b.t.Helper()
	var last daemon.Listing
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("waiting for %s, it listed %+v at last", what, last.Processes)
		}
	})
	testkit.Until(b.t, what, func() bool {
		last = b.list()
		return wanted(last)
	})
}

// TestPortsOfListeningWorkers: workers that listen are reached at their own port and at PM2_PORT,
// and a second app that wants the port is told whose it is.
func TestPortsOfListeningWorkers(t *testing.T) {
	own, other := harness.Loopback(t), harness.Loopback(t)
	b := newBackground(t, "PM2_PORT="+other[strings.LastIndex(other, ":")+1:])
	dir := t.TempDir()
	port := own[strings.LastIndex(own, ":")+1:]
	for name, text := range map[string]string{
		"worker.js":   `require("http").createServer((req, res) => res.end("here")).listen(` + port + `)`,
		"first.json":  `{"name": "first", "script": "worker.js", "exec_mode": "cluster"}`,
		"second.json": `{"name": "second", "script": "worker.js", "exec_mode": "cluster"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.must(dir, "start", "first.json")
	for _, addr := range []string{own, other} {
		resp, err := http.Get("http://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "here" {
			t.Errorf("%s answers %q, %v", addr, body, err)
		}
	}
	out, err := b.sidereal(dir, "start", "second.json")
	want := "second: port " + port + " is served for the app first: give one of them another port"
	if err == nil || !strings.Contains(out, want) {
		t.Errorf("%v: %s\nwant %s", err, out, want)
	}
}

// TestDaemonWithManyWorkers tells what a daemon with 32 Go workers takes, kills it, and holds that
// nothing of it is left.
func TestDaemonWithManyWorkers(t *testing.T) {
	const workers = 32
	chat := buildChat(t)
	b := newBackground(t, "SIDEREAL_ADDR="+harness.Loopback(t))
	begin := time.Now()
	b.must(t.TempDir(), "start", chat, "-i", strconv.Itoa(workers))
	t.Logf("%d workers ready after %v", workers, time.Since(begin))
	l, pid := b.list(), b.pid()
	if len(l.Processes) != workers {
		t.Fatalf("%d processes", len(l.Processes))
	}
	status := procStatus(t, pid)
	t.Logf("the daemon takes %d KB, %d KB of its own, in %d threads", status["VmRSS"], status["RssAnon"], status["Threads"])
	if own := status["RssAnon"]; own > 20<<10 {
		t.Errorf("the daemon takes %d KB of its own for %d workers", own, workers)
	}
	pids := []int{}
	for _, p := range l.Processes {
		pids = append(pids, p.PID)
	}
	for _, s := range append(l.Services, l.Apps["chat"].Services...) {
		pids = append(pids, s.PID)
	}
	begin = time.Now()
	syscall.Kill(pid, syscall.SIGKILL)
	for _, p := range pids {
		for syscall.Kill(p, 0) == nil && !zombie(p) {
			if time.Since(begin) > 20*time.Second {
				t.Fatalf("process %d outlives its daemon", p)
			}
			time.Sleep(time.Millisecond) // nothing tells of the end of another's child
		}
	}
	t.Logf("all ended %v after the daemon", time.Since(begin))
	b.must(t.TempDir(), "start", chat, "-i", "1") // at once, on the same port, over what the dead one left
}

// procStatus are the numbers of /proc/<pid>/status.
func procStatus(t *testing.T, pid int) map[string]int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		if fields := strings.Fields(value); len(fields) > 0 {
			out[name], _ = strconv.Atoi(fields[0])
		}
	}
	return out
}

// zombie reports whether a process has ended, and waits for whoever inherited it to notice.
func zombie(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(raw), ") Z ")
}
