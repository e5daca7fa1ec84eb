package daemon

import (
	"reflect"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

func ms(n int) pm2.Duration { return pm2.Duration(time.Duration(n) * time.Millisecond) }

// Each field of a process file about restarts is a rule of the supervisor's.
func TestEachInstanceHasItsInspector(t *testing.T) {
	for arg, want := range map[string]string{
		"--inspect": "--inspect=9231", "--inspect=9300": "--inspect=9302", "--inspect-brk=0.0.0.0:9300": "--inspect-brk=0.0.0.0:9302",
		"--inspect-port=9300": "--inspect-port=9302", "--inspect=[::1]:9300": "--inspect=[::1]:9302", "--inspect=0": "--inspect=0",
		"--inspect=65535": "--inspect=65535", "--inspect=host": "--inspect=host", "--inspector": "--inspector", "--max-old-space-size=9": "--max-old-space-size=9",
		"--inspect=99999999999999999999": "--inspect=99999999999999999999", "--inspect-port": "--inspect-port",
	} {
		a := pm2.App{Interpreter: "node", Script: "w.js", NodeArgs: []string{arg}, Args: []string{"--inspect"}}
		if got := command(nil, &a, 2); !slices.Equal(got, []string{"node", want, "w.js", "--inspect"}) {
			t.Errorf("%s: %q", arg, got)
		}
		if got := command(nil, &a, 0); got[1] != arg {
			t.Errorf("%s: the first instance has %q", arg, got)
		}
	}
}

func TestRestartFieldsBecomeRules(t *testing.T) {
	for name, c := range map[string]struct {
		set  func(*pm2.App)
		want func(*supervisor.RestartRule)
	}{
		"defaults":     {func(*pm2.App) {}, func(*supervisor.RestartRule) {}},
		"autorestart":  {func(a *pm2.App) { a.Autorestart = false }, func(r *supervisor.RestartRule) { r.Never = true }},
		"max_restarts": {func(a *pm2.App) { a.MaxRestarts = 3 }, func(r *supervisor.RestartRule) { r.Max = 3 }},
		"max_restarts 0": {func(a *pm2.App) { a.MaxRestarts = 0 }, func(r *supervisor.RestartRule) {
			r.Max = 1
		}},
		"min_uptime":      {func(a *pm2.App) { a.MinUptime = ms(5000) }, func(r *supervisor.RestartRule) { r.MinUptime = 5 * time.Second }},
		"stop_exit_codes": {func(a *pm2.App) { a.StopExitCodes = []int{0, 7} }, func(r *supervisor.RestartRule) { r.StopCodes = []int{0, 7} }},
		"restart_delay":   {func(a *pm2.App) { a.RestartDelay = ms(300) }, func(r *supervisor.RestartRule) { r.Delay = 300 * time.Millisecond }},
		"exp_backoff_restart_delay, which wins": {
			func(a *pm2.App) { a.ExpBackoffRestartDelay, a.RestartDelay = ms(100), ms(300) },
			func(r *supervisor.RestartRule) {
				r.Backoff = supervisor.Backoff{First: 100 * time.Millisecond, Factor: 1.5, Steady: 30 * time.Second, Always: true, Jitter: 0.1}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := pm2.Default()
			c.set(&a)
			want := supervisor.RestartRule{Max: 16, MinUptime: time.Second, Backoff: supervisor.Backoff{Max: time.Second, Jitter: 0.2}}
			c.want(&want)
			got := restartRule(&a)
			if len(got.StopCodes) == 0 {
				got.StopCodes = nil
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// So is each about how processes end.
func TestStopFieldsBecomeRules(t *testing.T) {
	for name, c := range map[string]struct {
		kind host.Kind
		set  func(*seen)
		want supervisor.StopRule
	}{
		"defaults":              {host.NodeFork, func(*seen) {}, supervisor.StopRule{Signal: syscall.SIGINT, Timeout: 1600 * time.Millisecond, Tree: supervisor.TreeToo}},
		"kill_timeout":          {host.NodeFork, func(ap *seen) { ap.app.KillTimeout = ms(9000) }, supervisor.StopRule{Signal: syscall.SIGINT, Timeout: 9 * time.Second, Tree: supervisor.TreeToo}},
		"stop_signal":           {host.Program, func(ap *seen) { ap.app.StopSignal = "SIGTERM" }, supervisor.StopRule{Signal: syscall.SIGTERM, Timeout: 1600 * time.Millisecond, Tree: supervisor.TreeToo}},
		"treekill":              {host.Program, func(ap *seen) { ap.app.TreeKill = false }, supervisor.StopRule{Signal: syscall.SIGINT, Timeout: 1600 * time.Millisecond, Tree: supervisor.TreeSpare}},
		"shutdown_with_message": {host.NodeCluster, func(ap *seen) { ap.app.ShutdownWithMessage = true }, supervisor.StopRule{Signal: syscall.SIGINT, Message: `"shutdown"`, Timeout: 1600 * time.Millisecond, Tree: supervisor.TreeToo}},
		"shutdown_with_message, of who takes none": {host.Program, func(ap *seen) { ap.app.ShutdownWithMessage = true }, supervisor.StopRule{Signal: syscall.SIGINT, Timeout: 1600 * time.Millisecond, Tree: supervisor.TreeToo}},
	} {
		t.Run(name, func(t *testing.T) {
			ap := seen{&application{kind: c.kind}, facts{app: pm2.Default()}}
			c.set(&ap)
			if got := stopRule(ap); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// A start tells of a process that ended and is not tried again soon.
func TestStartDoesNotWaitForALateRestart(t *testing.T) {
	r := runDaemon(t, func(c *Config) { c.settleTime = time.Hour }) // it ends before, on however busy a machine
	a := interpreted(t, app(t, "slow", "crash"), "sh")
	a.RestartDelay = ms(int(time.Hour / time.Millisecond))
	_, err := r.start(StartNew, a)
	fails(t, err, 1, "slow (id 0): ended: exit status 3; it is started again in 1h0m0s")
	if got := statuses(r.list()); !slices.Equal(got, []Status{Waiting}) {
		t.Errorf("%v", got)
	}
}

func TestProcessesAreToldTheirNumbers(t *testing.T) {
	r := runDaemon(t)
	a := app(t, "told", "")
	a.Script, a.Autorestart, a.Instances, a.IncrementVar, a.InstanceVar = "/usr/bin/env", false, 2, "NUMBER", "INDEX"
	a.Env["NUMBER"] = "40"
	r.must(r.start(StartNew, a))
	for i, p := range r.list().Processes {
		n := []string{"0", "1"}[i]
		for _, want := range []string{"WORKER_ID=" + n, "INDEX=" + n, "pm_id=" + n, "NUMBER=4" + n, "name=told", "instances=2", "exec_mode=fork_mode"} {
			fileEventually(t, p.OutFile, want+"\n")
		}
	}
}

// TestCommandsThatRunNode: these get Node's channel, and other programs don't.
func TestCommandsThatRunNode(t *testing.T) {
	bash := func(command string) pm2.App {
		return pm2.App{Interpreter: "none", Script: "/bin/bash", Args: []string{"-c", command}, Instances: 1}
	}
	for want, apps := range map[host.Kind][]pm2.App{
		host.NodeFork: {bash("node app.js"), bash("cd x && /usr/bin/node app.js"), bash("A=1 npx tsx app.ts"), {Interpreter: "none", Script: "/bin/bash", Args: []string{"-lc", "exec node app.js"}, Instances: 1}, {Interpreter: "none", Script: "/usr/bin/node", Instances: 1},
			{Interpreter: "none", Script: "/usr/bin/bun", Instances: 1}, {Interpreter: "bun", Script: "/app.ts", Instances: 1}, {Interpreter: "/opt/deno", Script: "/app.ts", Instances: 1}, {Interpreter: "tsx", Script: "/app.ts", Instances: 2}},
		host.Alone: {{Interpreter: "none", Script: "/bin/bash", Args: []string{"app.sh", "node app.js"}, Instances: 1}, bash("./app"), bash("echo node"), bash("npm start"), {Interpreter: "bash", Script: "/app/node app", Instances: 1}},
		host.Program: {{Interpreter: "none", Script: "/bin/bash", Args: []string{"-c", "node app.js"}, Instances: 2},
			{Interpreter: "bun", Script: "/app.ts", Instances: 2}, {Interpreter: "/opt/deno", Script: "/app.ts", Instances: 1, SharePort: true}, {Interpreter: "tsx", Script: "/app.ts", Instances: 2, SharePort: true}},
	} {
		for _, a := range apps {
			if got := kindOf(&a); got != want {
				t.Errorf("%s %q: kind %v, want %v", a.Script, a.Args, got, want)
			}
		}
	}
}

func TestNumberedFiles(t *testing.T) {
	for path, want := range map[string]string{
		"/l/api-out.log": "/l/api-out-7.log", "/l/api-2.log": "/l/api-7.log", "/p/api-1.pid": "/p/api-7.pid", "/l/api.txt": "/l/api.txt", "/l/1": "/l/1",
	} {
		if got := numbered(path, 7); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
