package daemon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// limit is a bound that only a failure reaches.
const limit = 30 * time.Second

func testHome(t *testing.T) Home {
	t.Helper()
	dir, err := os.MkdirTemp("", "sh") // short: unix addresses are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	home, err := OpenHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	return home
}

// running is a daemon in this process, and a client of it.
type running struct {
	*Client
	t    *testing.T
	home Home
	done chan error
	stop context.CancelFunc
}

func runDaemon(t *testing.T, change ...func(*Config)) *running {
	t.Helper()
	home := testHome(t)
	cfg := testConfig(home)
	for _, f := range change {
		f(&cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, home: home, done: make(chan error, 1), stop: stop}
	go func() { r.done <- Run(ctx, cfg) }()
	r.Client = r.connect()
	t.Cleanup(func() {
		stop()
		r.Close()
		select {
		case <-r.done:
		case <-time.After(limit):
			t.Error("Run does not return")
		}
	})
	return r
}

func (r *running) connect() *Client {
	r.t.Helper()
	var c *Client
	testkit.Until(r.t, "a daemon answers", func() bool {
		var err error
		c, err = Connect(context.Background(), r.home)
		return err == nil
	})
	return c
}

// app is one that the test binary plays.
func app(t *testing.T, name, role string, env ...string) pm2.App {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a := pm2.Default()
	a.Name, a.Script, a.Interpreter, a.Cwd = name, self, "none", t.TempDir()
	a.MergeLogs = false
	a.Env = map[string]string{"FAKE_ROLE": role, "GORACE": "atexit_sleep_ms=0", "SIDEREAL_ADDR": "127.0.0.1:0", "SIDEREAL_SHUTDOWN_TIMEOUT": "10s"}
	if testing.CoverMode() != "" { // or the app, this binary, warns in its error log
		a.Env["GOCOVERDIR"] = t.TempDir()
	}
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		a.Env[k] = v
	}
	return a
}

// interpreted has an app run by something called so.
func interpreted(t *testing.T, a pm2.App, as string) pm2.App {
	t.Helper()
	a.Interpreter = filepath.Join(t.TempDir(), as)
	if err := os.Symlink(a.Script, a.Interpreter); err != nil {
		t.Fatal(err)
	}
	a.Script = filepath.Join(a.Cwd, "script.js")
	return a
}

func (r *running) start(mode StartMode, apps ...pm2.App) ([]Event, error) {
	r.t.Helper()
	return r.collect(func(ctx context.Context, happened func(Event)) error {
		return r.Start(ctx, Start{Apps: apps, Mode: mode}, happened)
	})
}

func (r *running) act(a Action) ([]Event, error) {
	r.t.Helper()
	return r.collect(func(ctx context.Context, happened func(Event)) error { return r.Act(ctx, a, happened) })
}

func (r *running) collect(do func(context.Context, func(Event)) error) (events []Event, err error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err = do(ctx, func(e Event) { events = append(events, e) })
	if errors.Is(err, context.DeadlineExceeded) {
		r.t.Fatalf("never done: %+v", events)
	}
	return events, err
}

func (r *running) must(events []Event, err error) []Event {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%v\n%+v", err, events)
	}
	return events
}

func (r *running) list() Listing {
	r.t.Helper()
	l, err := r.List(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// eventually waits until the list is as wanted.
func (r *running) eventually(what string, wanted func(Listing) bool) Listing {
	r.t.Helper()
	var l Listing
	met := false
	defer func() {
		if !met {
			r.t.Logf("%+v", l.Processes)
		}
	}()
	testkit.Until(r.t, what, func() bool {
		l = r.list()
		met = wanted(l)
		return met
	})
	return l
}

func fails(t *testing.T, err error, code int, parts ...string) {
	t.Helper()
	var f *Failure
	if !errors.As(err, &f) || f.Code != code {
		t.Fatalf("got %#v, want a failure with code %d", err, code)
	}
	for _, part := range parts {
		if !strings.Contains(f.Text, part) {
			t.Errorf("%q does not say %q", f.Text, part)
		}
	}
}

func statuses(l Listing) (out []Status) {
	for _, p := range l.Processes {
		out = append(out, p.Status)
	}
	return out
}

// askDoor tells which app answers at an address.
func askDoor(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(limit))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// In PM2 an app is its name and its script: a name alone is no sign that two are one.
func TestAppsOfOneName(t *testing.T) {
	r := runDaemon(t)
	a, b := app(t, "api", "worker"), app(t, "api", "worker")
	b.Args = []string{"other"}
	for range 2 { // the second time the file finds both
		r.must(r.start(StartRestart, a, b))
		l := r.list()
		if !slices.Equal(statuses(l), []Status{Online, Online}) {
			t.Fatalf("%+v", l.Processes)
		}
	}
	c := app(t, "api", "worker")
	link := filepath.Join(c.Cwd, "another")
	if err := os.Symlink(c.Script, link); err != nil {
		t.Fatal(err)
	}
	c.Script = link
	r.must(r.start(StartNew, c))
	if l := r.list(); len(l.Processes) != 3 {
		t.Errorf("%+v", l.Processes)
	}
	_, err := r.start(StartNew, c)
	fails(t, err, 1, "api: is running already")
	if _, err := r.Save(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	r.must(r.act(Action{Verb: Delete, Targets: []string{"all"}}))
	for range 2 { // all that were saved come back, once
		r.must(r.collect(r.Resurrect))
		if l := r.list(); len(l.Processes) != 3 {
			t.Errorf("%+v", l.Processes)
		}
	}
}

func TestLifeOfAnApp(t *testing.T) {
	r := runDaemon(t)
	a := app(t, "api", "worker")
	a.Instances = 2
	r.must(r.start(StartNew, a))
	l := r.list()
	if len(l.Processes) != 2 || !slices.Equal(statuses(l), []Status{Online, Online}) {
		t.Fatalf("%+v", l.Processes)
	}
	for i, p := range l.Processes {
		if p.ID != i || p.Instance != i || p.PID == 0 || p.Worker != fmt.Sprintf("W%d", i) || p.Memory == 0 || p.Restarts != 0 {
			t.Errorf("%+v", p)
		}
		if want := filepath.Join(r.home.Logs(), fmt.Sprintf("api-out-%d.log", i)); p.OutFile != want {
			t.Errorf("writes to %s, want %s", p.OutFile, want)
		}
		if raw, err := os.ReadFile(p.PIDFile); err != nil || string(raw) != fmt.Sprint(p.PID) {
			r.eventually("a pid file", func(Listing) bool { raw, _ := os.ReadFile(p.PIDFile); return string(raw) == fmt.Sprint(p.PID) })
		}
	}
	status := l.Apps["api"]
	if len(status.Doors) != 1 || status.Redis != "embedded" || status.Directory != "api" || len(status.Services) != 1 {
		t.Errorf("%+v", status)
	}
	if got := askDoor(t, status.Doors[0]); got != "api" {
		t.Errorf("%s answers", got)
	}
	_, err := r.start(StartNew, a)
	fails(t, err, 1, "api: is running already")

	r.must(r.act(Action{Verb: Restart, Targets: []string{"api"}}))
	after := r.list()
	for i, p := range after.Processes {
		if p.PID == l.Processes[i].PID || p.Restarts != 1 || p.Status != Online {
			t.Errorf("%+v", p)
		}
	}
	r.must(r.act(Action{Verb: Reset, Targets: []string{"default"}}))
	r.must(r.act(Action{Verb: Stop, Targets: []string{"0"}}))
	if l := r.list(); !slices.Equal(statuses(l), []Status{Stopped, Online}) || l.Processes[0].Restarts != 0 {
		t.Errorf("%+v", l.Processes)
	}
	r.must(r.act(Action{Verb: Reload, Targets: []string{"all"}}))
	if l := r.list(); !slices.Equal(statuses(l), []Status{Online, Online}) {
		t.Errorf("%+v", l.Processes)
	}
	if _, err := r.act(Action{Verb: Stop, Targets: []string{"0", "nobody"}}); true {
		fails(t, err, 1, "nobody")
	}
	r.must(r.act(Action{Verb: Delete, Targets: []string{"api"}}))
	if l := r.list(); len(l.Processes)+len(l.Apps) != 0 {
		t.Errorf("%+v", l)
	}
	if c, err := net.Dial("tcp", status.Doors[0]); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
	r.must(r.start(StartNew, a))
	if l := r.list(); l.Processes[0].ID != 0 {
		t.Errorf("ids do not begin anew: %+v", l.Processes)
	}
}

func TestScale(t *testing.T) {
	r := runDaemon(t)
	a := app(t, "api", "worker")
	r.must(r.start(StartNew, a))
	r.must(r.act(Action{Verb: Scale, Targets: []string{"api"}, Count: "+2"}))
	if l := r.list(); !slices.Equal(statuses(l), []Status{Online, Online, Online}) || l.Processes[2].Instance != 2 {
		t.Errorf("%+v", l.Processes)
	}
	r.must(r.act(Action{Verb: Delete, Targets: []string{"1"}}))
	r.must(r.act(Action{Verb: Scale, Targets: []string{"api"}, Count: "3"}))
	l := r.list()
	if p := l.Processes[2]; p.ID != 3 || p.Instance != 1 { // the lowest number that is free
		t.Errorf("%+v", p)
	}
	r.must(r.act(Action{Verb: Scale, Targets: []string{"api"}, Count: "-2"}))
	if l := r.list(); len(l.Processes) != 1 || l.Processes[0].ID != 0 {
		t.Errorf("%+v", l.Processes)
	}
	_, err := r.act(Action{Verb: Scale, Targets: []string{"api"}, Count: "-1"})
	fails(t, err, 2, "at least one")
}

func TestReloadThatFailsKeepsWhatServes(t *testing.T) {
	r := runDaemon(t)
	flag := filepath.Join(t.TempDir(), "fail")
	a := app(t, "api", "worker", "FAKE_FAIL="+flag)
	a.Instances = 2
	r.must(r.start(StartNew, a))
	before := r.list()
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := r.act(Action{Verb: Reload, Targets: []string{"api"}})
	fails(t, err, 1, "api: reload given up", "id 0", "exit status 1", "0 of 2")
	for i, p := range r.list().Processes {
		if p.PID != before.Processes[i].PID || p.Status != Online {
			t.Errorf("%+v", p)
		}
	}
}

func TestCrashingAppIsReported(t *testing.T) {
	r := runDaemon(t, func(c *Config) { c.settleTime = time.Minute }) // however slow a crash is
	a := app(t, "bad", "crash")
	a.MaxRestarts = 2
	_, err := r.start(StartNew, a)
	fails(t, err, 1, "bad (id 0)", "exit status 3")
	l := r.eventually("given up", func(l Listing) bool { return l.Processes[0].Status == Errored })
	if p := l.Processes[0]; p.Restarts != 1 || p.ExitCode == nil || *p.ExitCode != 3 {
		t.Errorf("%+v", p)
	}
	a = app(t, "missing", "crash")
	a.Script = "/nowhere/program"
	_, err = r.start(StartNew, a)
	fails(t, err, 1, "missing (id 1)", "no such file")
	broken := interpreted(t, app(t, "broken", "crash"), "node") // merely forked: it says nothing by itself
	broken.MinUptime, broken.MaxRestarts = pm2.Duration(time.Hour), 3
	_, err = r.start(StartNew, broken)
	fails(t, err, 1, "broken (id 2)", "exit status 3")
	job := interpreted(t, app(t, "job", "job"), "sh")
	job.Autorestart = false
	r.must(r.start(StartNew, job))
	r.eventually("done", func(l Listing) bool { return l.Processes[3].Status == Stopped && *l.Processes[3].ExitCode == 0 })
}

// A program that has done its work doesn't fail the command that started it.
func TestJobThatIsStartedAgainFailsNoStart(t *testing.T) {
	r := runDaemon(t, func(c *Config) { c.settleTime = time.Minute }) // however slow a job is
	again := interpreted(t, app(t, "again", "job"), "sh")
	again.MaxRestarts, again.MinUptime = 2, pm2.Duration(time.Hour)
	r.must(r.start(StartNew, again))
	late := interpreted(t, app(t, "late", "job"), "sh")
	late.RestartDelay = pm2.Duration(time.Hour)
	r.must(r.start(StartNew, late))
	if l := r.list(); l.Processes[1].Status != Waiting || l.Processes[1].Restarts != 0 {
		t.Errorf("%+v", l.Processes[1])
	}
	l := r.eventually("given up", func(l Listing) bool { return l.Processes[0].Status == Errored })
	if p := l.Processes[0]; p.Restarts != 1 { // as PM2 counts: two processes, one restart
		t.Errorf("%+v", p)
	}
	r.must(r.act(Action{Verb: Reset, Targets: []string{"again"}}))
	r.must(r.act(Action{Verb: Restart, Targets: []string{"again"}}))
	l = r.eventually("given up again", func(l Listing) bool { return l.Processes[0].Status == Errored })
	if p := l.Processes[0]; p.Restarts != 1 {
		t.Errorf("%+v", p)
	}
}

// The files are there before the first line, by PM2's names.
func TestLogAndPIDFilesHavePM2sNames(t *testing.T) {
	r := runDaemon(t)
	a := app(t, "my_api v2", "worker")
	a.MergeLogs = true
	r.must(r.start(StartNew, a))
	p := r.list().Processes[0]
	for path, name := range map[string]string{p.OutFile: "my-api-v2-out.log", p.ErrorFile: "my-api-v2-error.log"} {
		if info, err := os.Stat(path); err != nil || info.Name() != name {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if name := filepath.Base(p.PIDFile); name != "my-api-v2-0.pid" {
		t.Error(name)
	}
}

func TestAppThatDoesNotComeUpKeepsNoOtherFromIt(t *testing.T) {
	r := runDaemon(t)
	done := make(chan error, 1)
	go func() {
		done <- r.Start(context.Background(), Start{Mode: StartNew, Apps: []pm2.App{app(t, "stuck", "mute"), app(t, "good", "worker")}}, nil)
	}()
	l := r.eventually("one online", func(l Listing) bool { return slices.Equal(statuses(l), []Status{Launching, Online}) })
	if l.Processes[0].Name != "stuck" { // ids in the order of the file, whoever is first
		t.Errorf("%+v", l.Processes)
	}
	_, err := r.start(StartRestart, app(t, "stuck", "worker"))
	fails(t, err, 1, "another command is at work")
	r.must(r.act(Action{Verb: Stop, Targets: []string{"stuck"}}))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTwoAppsThatWantOnePort(t *testing.T) {
	r := runDaemon(t)
	r.must(r.start(StartNew, app(t, "one", "worker")))
	_, port, _ := net.SplitHostPort(r.list().Apps["one"].Doors[0])
	_, err := r.start(StartNew, app(t, "two", "worker", "SIDEREAL_ADDR=127.0.0.1:"+port))
	fails(t, err, 1, "two: port "+port, "app one")
	if l := r.list(); len(l.Processes) != 1 || len(l.Apps) != 1 {
		t.Errorf("%+v", l)
	}
	_, err = r.start(StartNew, app(t, "three", "worker", "SIDEREAL_ADAPTER=nonsense"))
	fails(t, err, 2, "three: ", "SIDEREAL_ADAPTER")
}

func TestNodeWorkersAreServedWhereTheyListen(t *testing.T) {
	r := runDaemon(t)
	first, second := freeAddr(t), freeAddr(t)
	a := interpreted(t, app(t, "web app", "node", "FAKE_LISTEN="+first+" "+second, "SIDEREAL_ADDR="), "node")
	a.ExecMode, a.Instances = pm2.Cluster, 2
	r.must(r.start(StartNew, a))
	l := r.eventually("both doors", func(l Listing) bool { return len(l.Apps["web app"].Doors) == 2 })
	if got := askDoor(t, first); got != "web-app" { // as an app of the directory may be called
		t.Errorf("%s answers", got)
	}
	_, port, _ := net.SplitHostPort(second)
	r.eventually("its router", func(l Listing) bool {
		return slices.ContainsFunc(l.Apps["web app"].Services, func(s Service) bool {
			return s.Name == "web app/router-"+port && s.Status == Online
		})
	})
	if got := askDoor(t, second); got != "web-app:"+port {
		t.Errorf("%s answers at the second port", got)
	}
	r.must(r.act(Action{Verb: Send, Targets: []string{"web app"}, Text: `"x" of <y>`}))
	for i := range 2 {
		out := fileEventually(t, l.Processes[i].OutFile, `message "\"x\" of \u003cy\u003e"`)
		if !strings.Contains(out, "command -r ") || !strings.Contains(out, ".cjs "+a.Script) {
			t.Errorf("not started with our script: %q", out)
		}
	}
	r.must(r.act(Action{Verb: Reload, Targets: []string{"web app"}, Parallel: 2}))
	for i, p := range r.list().Processes {
		if p.PID == l.Processes[i].PID || p.Status != Online || p.Instance != i {
			t.Errorf("%+v", p)
		}
	}
}

func TestNodeWorkersThatDoNotListenAreServedAtTheirDoor(t *testing.T) {
	r := runDaemon(t)
	addr := freeAddr(t)
	a := interpreted(t, app(t, "chat", "node", "SIDEREAL_ADDR=", "PM2_PORT="+addr[strings.LastIndex(addr, ":")+1:]), "node")
	a.ExecMode = pm2.Cluster
	r.must(r.start(StartNew, a))
	if got := askDoor(t, addr); got != "chat" {
		t.Errorf("%s answers", got)
	}
}

// TestGivenAddressIsAlwaysServed: SIDEREAL_ADDR and PM2_PORT hold for workers that listen, too, and
// the app's own address stays.
func TestGivenAddressIsAlwaysServed(t *testing.T) {
	for _, variable := range []string{"SIDEREAL_ADDR", "PM2_PORT"} {
		t.Run(variable, func(t *testing.T) {
			r := runDaemon(t)
			own, given := freeAddr(t), freeAddr(t)
			value := given
			if variable == "PM2_PORT" {
				value = portOf(given)
			}
			a := interpreted(t, app(t, "web", "node", "FAKE_LISTEN="+own, "SIDEREAL_ADDR=", variable+"="+value), "node")
			a.ExecMode, a.Instances = pm2.Cluster, 2
			r.must(r.start(StartNew, a))
			for _, addr := range []string{own, given} {
				if got := askDoor(t, addr); got != "web" {
					t.Errorf("%s answers %q", addr, got)
				}
			}
			r.must(r.act(Action{Verb: Reload, Targets: []string{"web"}, Parallel: 2}))
			if got := askDoor(t, given); got != "web" {
				t.Errorf("after a reload, %s answers %q", given, got)
			}
		})
	}
}

// TestGivenAddressMayBeTheOwn: workers may listen where the settings say, in other words.
func TestGivenAddressMayBeTheOwn(t *testing.T) {
	port := portOf(freeAddr(t))
	for given, own := range map[string]string{":" + port: "127.0.0.1:" + port, "127.0.0.1:" + port: ":" + port} {
		r := runDaemon(t)
		a := interpreted(t, app(t, "web", "node", "FAKE_LISTEN="+own, "SIDEREAL_ADDR="+given), "node")
		a.ExecMode = pm2.Cluster
		r.must(r.start(StartNew, a))
		if got := askDoor(t, "127.0.0.1:"+port); got != "web" {
			t.Errorf("%s answers %q", port, got)
		}
		if doors := r.list().Apps["web"].Doors; len(doors) != 1 {
			t.Errorf("it is served at %q", doors)
		}
		r.empty()
	}
}

// TestGivenAddressOfTwoApps: an app that has no other address comes before one that listens at its
// own, and the latter says that it isn't served there.
func TestGivenAddressOfTwoApps(t *testing.T) {
	r := runDaemon(t)
	own, given := freeAddr(t), freeAddr(t)
	web := interpreted(t, app(t, "web", "node", "FAKE_LISTEN="+own, "SIDEREAL_ADDR="+given), "node")
	web.ExecMode = pm2.Cluster
	chat := interpreted(t, app(t, "chat", "node", "SIDEREAL_ADDR="+given), "node")
	chat.ExecMode = pm2.Cluster
	r.must(r.start(StartNew, web, chat))
	if got := askDoor(t, given); got != "chat" {
		t.Errorf("%s answers %q", given, got)
	}
	if got := askDoor(t, own); got != "web" {
		t.Errorf("%s answers %q", own, got)
	}
	want := "port " + portOf(given) + " is served for the app chat"
	r.eventually("the warning", func(l Listing) bool {
		w := l.Apps["web"].Warnings
		return len(w) == 1 && strings.Contains(w[0], want)
	})
}

// TestGivenAddressInUse: it can't be served, and the command says so.
func TestGivenAddressInUse(t *testing.T) {
	r := runDaemon(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	own := freeAddr(t)
	a := interpreted(t, app(t, "web", "node", "FAKE_LISTEN="+own, "SIDEREAL_ADDR="+busy.Addr().String()), "node")
	a.ExecMode = pm2.Cluster
	_, err = r.start(StartNew, a)
	fails(t, err, 1, "web: "+busy.Addr().String()+" is in use by another process")
	if got := askDoor(t, own); got != "web" {
		t.Errorf("%s answers %q", own, got)
	}
}

// TestForkModeWarnsOfAGivenAddress: no router serves a process in fork mode.
func TestForkModeWarnsOfAGivenAddress(t *testing.T) {
	r := runDaemon(t)
	events, err := r.start(StartNew, interpreted(t, app(t, "job", "node", "SIDEREAL_ADDR="+freeAddr(t)), "node"))
	if err != nil || !slices.ContainsFunc(events, func(e Event) bool { return e.Level == "warn" && strings.Contains(e.Text, "SIDEREAL_ADDR") }) {
		t.Errorf("%+v, %v", events, err)
	}
}

func portOf(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

// A program alone listens where its own settings say, and nothing else listens for it.
func TestProgramAloneKeepsItsPort(t *testing.T) {
	r := runDaemon(t)
	addr := freeAddr(t)
	a := interpreted(t, app(t, "py", "program", "SIDEREAL_ADDR=", "PORT="+addr[strings.LastIndex(addr, ":")+1:]), "python3")
	r.must(r.start(StartNew, a))
	testkit.Until(t, "the program answers", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	before := r.list()
	if p, ap := before.Processes[0], before.Apps["py"]; p.Port != 0 || len(ap.Doors) != 0 || len(ap.Services) != 0 {
		t.Errorf("%+v, %+v", p, ap)
	}
	r.must(r.act(Action{Verb: Reload, Targets: []string{"py"}}))
	if after := r.list(); after.Processes[0].PID == before.Processes[0].PID || after.Processes[0].Status != Online {
		t.Errorf("%+v", after.Processes)
	}
}

// A local nginx is believed by default: see docs/adr/0036.
func TestLoopbackIsATrustedProxy(t *testing.T) {
	for env, want := range map[string]string{
		"": "127.0.0.0/8,::1/128", "SIDEREAL_TRUSTED_PROXIES=": "127.0.0.0/8,::1/128",
		"SIDEREAL_TRUSTED_PROXIES=none": "", "SIDEREAL_TRUSTED_PROXIES=10.0.0.7": "10.0.0.7/32",
	} {
		a := app(t, "api", "worker", strings.Fields(env)...)
		ap, err := resolve(a, "api")
		if err != nil {
			t.Fatal(err)
		}
		if got := ap.settings.Get("SIDEREAL_TRUSTED_PROXIES").Text; got != want {
			t.Errorf("%s: %q", env, got)
		}
		if none := len(ap.set.TrustedProxies) == 0; none != (want == "") {
			t.Errorf("%s: %v", env, ap.set.TrustedProxies)
		}
	}
}

func TestOtherProgramsGetAPortAndADoorOnceTheyAnswer(t *testing.T) {
	r := runDaemon(t)
	addr := freeAddr(t)
	a := interpreted(t, app(t, "py", "program", "SIDEREAL_ADDR=", "PORT="+addr[strings.LastIndex(addr, ":")+1:]), "python3")
	a.SharePort = true
	r.must(r.start(StartNew, a))
	l := r.eventually("a door", func(l Listing) bool {
		return len(l.Apps["py"].Doors) == 1 && len(l.Apps["py"].Services) == 2 && l.Apps["py"].Services[0].Status == Online
	})
	if p := l.Processes[0]; p.Port == 0 || strings.HasSuffix(addr, fmt.Sprint(":", p.Port)) {
		t.Errorf("%+v", p)
	}
	if got := askDoor(t, addr); got != "py" {
		t.Errorf("%s answers", got)
	}
}

func TestChangedSettings(t *testing.T) {
	r := runDaemon(t)
	a := app(t, "api", "worker")
	r.must(r.start(StartRestart, a))
	pid := r.list().Processes[0].PID
	a.Env["COLOR"] = "blue"
	r.must(r.start(StartReload, a))
	l := r.list()
	if l.Processes[0].PID == pid || l.Apps["api"].App.Env["COLOR"] != "blue" {
		t.Errorf("%+v", l.Processes)
	}
	addr := freeAddr(t)
	a.Env["SIDEREAL_ADDR"] = addr
	events := r.must(r.start(StartReload, a))
	if !slices.ContainsFunc(events, func(e Event) bool { return e.Level == "warn" && strings.Contains(e.Text, "SIDEREAL_ADDR") }) {
		t.Errorf("nobody said that the address stays: %+v", events)
	}
	r.must(r.start(StartRestart, a))
	if got := askDoor(t, addr); got != "api" {
		t.Errorf("%s answers", got)
	}
	events, err := r.collect(func(ctx context.Context, happened func(Event)) error {
		return r.Start(ctx, Start{Mode: StartRestart, Settings: map[string]string{"SIDEREAL_LOG_LEVEL": "debug"}}, happened)
	})
	if err != nil || len(events) != 1 || !strings.Contains(events[0].Text, "SIDEREAL_LOG_LEVEL=info, not debug") {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestSaveAndResurrect(t *testing.T) {
	r := runDaemon(t)
	if _, err := r.collect(r.Resurrect); true {
		fails(t, err, 1, "no list was saved")
	}
	a, b := app(t, "a", "worker"), app(t, "b", "worker")
	r.must(r.start(StartNew, a, b))
	r.must(r.act(Action{Verb: Scale, Targets: []string{"a"}, Count: "2"}))
	r.must(r.act(Action{Verb: Stop, Targets: []string{"b"}}))
	saved, err := r.Save(t.Context(), false)
	if err != nil || saved.Apps != 2 || saved.Processes != 3 {
		t.Fatalf("%+v, %v", saved, err)
	}
	if info, err := os.Stat(saved.File); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	r.must(r.act(Action{Verb: Delete, Targets: []string{"all"}}))
	if saved, err = r.Save(t.Context(), false); err != nil || !saved.Kept {
		t.Errorf("%+v, %v", saved, err)
	}
	if err := os.WriteFile(saved.File+".bak", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.must(r.collect(r.Resurrect))
	if l := r.list(); !slices.Equal(statuses(l), []Status{Online, Online, Stopped}) {
		t.Errorf("%+v", l.Processes)
	}
	if saved, err = r.Save(t.Context(), false); err != nil { // the list that was good is the .bak now
		t.Fatal(err)
	}
	r.must(r.act(Action{Verb: Delete, Targets: []string{"all"}}))
	if err := os.WriteFile(saved.File, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.must(r.collect(r.Resurrect))
	if l := r.list(); len(l.Processes) != 3 {
		t.Errorf("%+v", l.Processes)
	}
	_, err = r.Save(t.Context(), true)
	if err != nil {
		t.Error(err)
	}
}

func TestWatchRestarts(t *testing.T) {
	r := runDaemon(t)
	a := app(t, "api", "worker")
	a.Watch = []string{a.Cwd}
	if err := os.Mkdir(filepath.Join(a.Cwd, "node_modules"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.must(r.start(StartNew, a))
	before := r.list().Processes[0]
	// The folder may not be watched yet: changes come until one is seen.
	r.eventually("restarted", func(l Listing) bool {
		os.WriteFile(filepath.Join(a.Cwd, "index.js"), []byte(time.Now().String()), 0o600)
		return l.Processes[0].PID != before.PID && l.Processes[0].Status == Online && l.Processes[0].Restarts > 0
	})
}

func TestKillEndsEverything(t *testing.T) {
	r := runDaemon(t)
	r.must(r.start(StartNew, app(t, "api", "worker")))
	pid := r.list().Processes[0].PID
	r.must(r.collect(r.Kill))
	if err := <-r.done; err != nil {
		t.Error(err)
	}
	r.done <- nil
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("a worker lives on: %v", err)
	}
	if _, err := Connect(t.Context(), r.home); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(r.home.PIDs()); len(entries) > 0 {
		t.Errorf("pid files are left: %v", entries)
	}
}

func TestForegroundEndsWhenNothingIsLeft(t *testing.T) {
	home := testHome(t)
	cfg := testConfig(home)
	job := interpreted(t, app(t, "job", "job"), "sh")
	job.Autorestart = false
	var out testkit.Output
	cfg.idleInterval = 50 * time.Millisecond
	cfg.Apps, cfg.NoFiles, cfg.Output, cfg.Prefix = []pm2.App{job}, true, &out, true
	if err := Run(t.Context(), cfg); !errors.Is(err, ErrIdle) {
		t.Errorf("got %v", err)
	}
	if got := out.String(); !strings.Contains(got, "job-0    │ done\n") {
		t.Errorf("printed %q", got)
	}
}

// freeAddr is an address that nobody had a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fileEventually waits until a file has a text, and returns all of it.
func fileEventually(t *testing.T, path, text string) string {
	t.Helper()
	var raw []byte
	defer func() {
		if !strings.Contains(string(raw), text) {
			t.Logf("%s: %q", path, raw)
		}
	}()
	testkit.Until(t, fmt.Sprintf("%s has %q", path, text), func() bool {
		raw, _ = os.ReadFile(path)
		return strings.Contains(string(raw), text)
	})
	return string(raw)
}
