package node

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/router"
)

func TestMain(m *testing.M) {
	if os.Getenv(listenerEnv) != "" {
		listen()
		return
	}
	testkit.Main(m)
}

// patience bounds a test, and asserts nothing about time.
const patience = 60 * time.Second

// modules are the npm packages that tests are made with.
func modules(t testing.TB) string {
	t.Helper()
	testkit.Need(t, "node")
	path, err := filepath.Abs("../../e2e/node_modules")
	if err == nil {
		_, err = os.Stat(filepath.Join(path, "socket.io"))
	}
	if err != nil {
		if os.Getenv("TESTKIT_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skipf("the npm packages are not installed: %v", err)
	}
	return path
}

// world is a host with a Redis, whose supervisor is the test.
type world struct {
	*Host
	t       *testing.T
	redis   string // URL
	conn    *redisconn.Conn
	preload string
	stop    func()         // ends the host
	logged  testkit.Output // of the host: warnings and errors
	ids     int

	mu      sync.Mutex // guards the rest
	reports []lifeline.ChildReport
	changed chan struct{} // closed, and replaced, at each report
	listens func(addr string) lifeline.ListenedTold
}

func newWorld(t *testing.T) *world {
	t.Helper()
	modules(t)
	return newWorldOn(t, testkit.StartRedis(t).URL())
}

// newWorldOn makes one more host on a Redis.
func newWorldOn(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, redis: url, changed: make(chan struct{})}
	log := slog.New(loghandler.New(io.MultiWriter(t.Output(), &w.logged), slog.LevelWarn))
	var err error
	if w.conn, err = redisconn.Open(redisconn.Config{URL: w.redis}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.conn.Close() })
	testkit.Run(t, w.conn.Run)
	dir := t.TempDir()
	if w.preload, err = filepath.Join(dir, Preload), writePreload(dir, nil); err != nil {
		t.Fatal(err)
	}
	w.Host, err = New(Config{
		App: "app", RuntimeDir: dir, Conn: w.conn, Log: log, Report: w.report,
		Record: directory.Worker{Host: "host" + strconv.Itoa(os.Getpid()) + filepath.Base(dir), Path: "/socket.io/", Adapter: "redis"},
		NewAdapter: func(_, server int, g *adapter.Group) (*adapter.Adapter, error) {
			cfg := adapter.Config{Conn: w.conn, Group: g, Log: log}
			if server > 1 {
				cfg.Key = "server" + strconv.Itoa(server)
			}
			return adapter.New(cfg)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.stop = testkit.Run(t, w.Host.Run)
	return w
}

// report is the supervisor's side of the line.
func (w *world) report(key string, value any) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch r := value.(type) {
	case lifeline.ChildReport:
		w.reports = append(w.reports, r)
		close(w.changed)
		w.changed = make(chan struct{})
	case lifeline.ListenReport:
		told := lifeline.ListenedTold{}
		if w.listens != nil {
			told = w.listens(r.Addr)
		}
		told.Addr = r.Addr
		answer, _ := json.Marshal(told)
		go w.told(lifeline.Told{Key: lifeline.Listened, Value: string(answer)})
	}
	return nil
}

// await returns the first report of a process, and state.
func (w *world) await(id, state string) lifeline.ChildReport {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		w.mu.Lock()
		changed := w.changed
		for _, r := range w.reports {
			if r.ID == id && r.State == state {
				w.mu.Unlock()
				return r
			}
		}
		w.mu.Unlock()
		select {
		case <-changed:
		case <-timeout:
			w.t.Fatalf("process %s was never reported as %s", id, state)
		}
	}
}

// process is a Node process that the test started for a host.
type process struct {
	id  string
	cmd *exec.Cmd
}

// how says how to start a process.
type how struct {
	script    string
	env       []string
	mode      ipc.Mode // Advanced
	forked    bool     // not of a cluster
	bare      bool     // without our script
	inject    bool     // servers that chose no adapter get ours
	usage     bool     // the process reports how it does
	waitReady bool
	node      string // the program; the one that is installed
}

// told is a line of the supervisor, whose work ends with the host and not with the test.
func (w *world) told(t lifeline.Told) { w.Told(context.Background(), t) }

// start starts a process, and tells the host of it.
func (w *world) node(h how) *process {
	w.t.Helper()
	ours, theirs, err := lifeline.SocketPair("channel")
	if err != nil {
		w.t.Fatal(err)
	}
	defer theirs.Close()
	if h.mode == "" {
		h.mode = ipc.Advanced
	}
	w.ids++
	id := strconv.Itoa(w.ids)
	args := []string{"-r", w.preload, h.script}
	switch {
	case h.bare:
		args = args[2:]
	case h.inject:
		args = append([]string{"-r", filepath.Join(filepath.Dir(w.preload), Adapter)}, args...)
	}
	if h.usage {
		args = append([]string{"-r", filepath.Join(filepath.Dir(w.preload), UsageScript)}, args...)
	}
	if h.node == "" {
		h.node = "node"
	}
	cmd := exec.Command(h.node, args...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules(w.t), "NODE_CHANNEL_FD=3", "NODE_CHANNEL_SERIALIZATION_MODE="+string(h.mode))
	if !h.forked {
		cmd.Env = append(cmd.Env, "NODE_UNIQUE_ID="+id)
	}
	cmd.Env = append(cmd.Env, h.env...)
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	p := &process{id, cmd}
	w.t.Cleanup(func() { p.kill() })
	told, err := json.Marshal(lifeline.ChannelTold{ID: id, Name: "worker-" + id, Slot: w.ids, PID: cmd.Process.Pid,
		Mode: string(h.mode), Cluster: !h.forked, WaitReady: h.waitReady})
	if err != nil {
		w.t.Fatal(err)
	}
	w.told(lifeline.Told{Key: lifeline.Channel, Value: string(told), File: ours})
	return p
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// hostile starts a process that writes to its channel past Node.
func (w *world) hostile(mode string) *process {
	return w.node(how{script: "testdata/hostile.js", env: []string{"MODE=" + mode, "SECOND_FD=3"}, waitReady: true})
}

// startProgram starts a program without a channel.
func (w *world) startProgram(script string, env []string) {
	w.t.Helper()
	cmd := exec.Command("node", script)
	cmd.Env = append(append(os.Environ(), "NODE_PATH="+modules(w.t)), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

// gone returns when the host has forgotten a process, and told the others.
func (w *world) gone(id string) {
	w.t.Helper()
	testkit.Until(w.t, "the process to be forgotten", func() bool { return w.child(id) == nil })
}

// workers starts so many of a kind, and returns when all are ready.
func (w *world) workers(n int, h how) (list []*process) {
	w.t.Helper()
	for range n {
		list = append(list, w.node(h))
	}
	for _, p := range list {
		w.await(p.id, lifeline.ChildReady)
	}
	return list
}

// router starts a router of the host for an app, and returns its URL once it knows so many workers.
func (w *world) router(app string, workers int) string {
	w.t.Helper()
	return w.routerOn(listenLocal(w.t), app, workers)
}

func (w *world) routerOn(l net.Listener, app string, workers int) string {
	w.t.Helper()
	d := w.directoryOf(app)
	r, err := router.New(router.Config{
		Directory: d, RuntimeDir: w.cfg.RuntimeDir, HostName: w.cfg.Record.Host, AdvertiseAddr: l.Addr().String(), Path: "/socket.io/",
		ShutdownTimeout: time.Millisecond, BalanceSlack: -1, // a client comes to every worker, wherever that is
	})
	if err != nil {
		w.t.Fatal(err)
	}
	testkit.Run(w.t, func(ctx context.Context) error { return r.Serve(ctx, l) })
	w.awaitReady(d, workers)
	return "http://" + l.Addr().String()
}

// directoryOf follows an app, and returns once it has seen its records.
func (w *world) directoryOf(app string) *directory.Directory {
	w.t.Helper()
	d, err := directory.Open(w.t.Context(), directory.Config{Conn: w.conn, App: app})
	if err != nil {
		w.t.Fatal(err)
	}
	testkit.Run(w.t, d.Run)
	if err := d.Synced(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// awaitReady returns when so many workers are ready, and their address has been told if they are
// another host's.
func (w *world) awaitReady(d *directory.Directory, workers int) {
	w.t.Helper()
	timeout := time.After(patience)
	for {
		changed := d.Changed()
		ready := 0
		for _, r := range d.Workers().Ready() {
			if r.Addr != "" || r.Host == w.cfg.Record.Host {
				ready++
			}
		}
		if ready == workers {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.t.Fatalf("%d workers are ready, want %d", len(d.Workers().Ready()), workers)
		}
	}
}

// check runs a check of testdata/checks.js.
func (w *world) check(name string, params map[string]any) {
	w.t.Helper()
	c := w.startCheck(name, params)
	c.line("done")
	c.end()
}

// checking is a check that goes on.
type checking struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	stdin io.Writer
	lines *bufio.Scanner
}

func (w *world) startCheck(name string, params map[string]any) *checking {
	w.t.Helper()
	raw, err := json.Marshal(params)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	w.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "node", "testdata/checks.js", name, string(raw))
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules(w.t))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	c := &checking{w.t, name, cmd, stdin, bufio.NewScanner(out)}
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return c
}

// line waits for a line of the check's.
func (c *checking) line(want string) {
	c.t.Helper()
	for c.lines.Scan() {
		if c.lines.Text() == want {
			return
		}
	}
	c.t.Fatalf("%s failed", c.name)
}

func (c *checking) end() {
	c.t.Helper()
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatalf("%s: %v", c.name, err)
	}
}

// redisServer starts a Node server that is linked by @socket.io/redis-adapter, and returns its URL.
func (w *world) redisServer() string {
	w.t.Helper()
	cmd := exec.Command("node", "testdata/redis-server.js")
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules(w.t), "REDIS_URL="+w.redis)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		w.t.Fatalf("redis-server.js: %v", err)
	}
	return "http://127.0.0.1:" + strings.TrimSpace(line)
}

// get asks for a page.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}
