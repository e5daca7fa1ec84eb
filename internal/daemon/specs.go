package daemon

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// The order in which an app stops: first nobody gets in, then the sessions move away; what carries them goes last.
const (
	stageRouter = iota
	stageWorkers
	stageHosts
	stageRedis
)

// defaultSettle is how long programs that say nothing have to run to count as online: a script that does not parse has ended by
// then, and the command that started it says so.
const defaultSettle = 150 * time.Millisecond

// errorCode is how services say that a setting is wrong: another start would not help.
const errorCode = config.ExitUsage

// spec is what runs at a place of the list.
func (d *Daemon) spec(e *entry, ap seen) (supervisor.Spec, error) {
	a := &ap.app
	if ap.dir == nil { // what it needs around it is being made, or has been taken away: it has no place
		return supervisor.Spec{}, supervisor.ErrNoPlace
	}
	who, err := whom(a)
	if err != nil {
		return supervisor.Spec{}, &Failure{Code: config.ExitUsage, Text: prefixed(a.Name, err.Error())}
	}
	schedule, err := pm2.ParseCron(a.CronRestart)
	if err != nil {
		return supervisor.Spec{}, &Failure{Code: config.ExitUsage, Text: prefixed(a.Name, "cron_restart "+err.Error())}
	}
	s := supervisor.Spec{
		Name: e.place, Group: ap.key, Command: ap.command(), Dir: a.Cwd, Environ: pairs(d.processEnv(e, ap, who)), User: who.user,
		Stage: stageWorkers, Manual: true, Unlined: ap.kind != goWorker,
		Restart: restartRule(a), Stop: stopRule(ap), MemoryLimit: a.MaxMemoryRestart, AliveTimeout: ap.set.AliveTimeout,
		Stdout: e.out, Stderr: e.err,
	}
	if ap.kind == goWorker {
		s.FreezeTimeout = ap.set.FreezeTimeout
	}
	if schedule != nil {
		s.Schedule = schedule
	}
	s.Input = ap.kind != nodeCluster // as PM2 has it: `send` writes there
	host := supervisor.Host{Place: ap.nodehost(), Slot: e.instance + 1, WaitReady: a.WaitReady}
	switch ap.kind {
	case nodeCluster:
		host.Channel, host.Cluster, host.Drain = "advanced", true, ap.set.ShutdownTimeout
		s.Host, s.Readiness.Timeout = &host, a.ListenTimeout.D()
	case nodeFork:
		host.Channel = "json"
		s.Host, s.Single = &host, true
		s.Readiness = supervisor.Readiness{AtStart: !a.WaitReady, Settle: cmp.Or(d.cfg.settleTime, defaultSettle), Timeout: a.ListenTimeout.D()}
	case goWorker:
		s.FatalCode = errorCode
	case anyProgram:
		host.Port, host.Drain = true, ap.set.ShutdownTimeout
		s.Host, s.Readiness = &host, supervisor.Readiness{AtStart: true, Settle: cmp.Or(d.cfg.settleTime, defaultSettle)}
	}
	if url := ap.set.ReadyURL; url != "" {
		s.Readiness = supervisor.Readiness{Probe: url}
	}
	return s, nil
}

// command is what to execute. Node processes with a channel get the script along that speaks for them to the nodehost.
func (ap seen) command() []string {
	var c []string
	a := &ap.app
	if a.Interpreter != "none" {
		c = append(c, a.Interpreter)
		if ap.kind.channeled() {
			c = append(c, "-r", filepath.Join(ap.dir.Path, lifeline.Preload))
		}
		c = append(c, a.NodeArgs...)
	}
	return append(append(c, a.Script), a.Args...)
}

// restartRule is PM2's, with waits between quick ends: each end in a row waits longer, up to 1 s, as the crash loop ends in
// `errored` anyway.
func restartRule(a *pm2.App) supervisor.RestartRule {
	r := supervisor.RestartRule{
		Never: !a.Autorestart, StopCodes: a.StopExitCodes, Max: max(a.MaxRestarts, 1), MinUptime: a.MinUptime.D(),
		Delay:   a.RestartDelay.D(),
		Backoff: supervisor.Backoff{Max: time.Second, Jitter: 0.2},
	}
	if first := a.ExpBackoffRestartDelay.D(); first > 0 {
		r.Delay = 0
		r.Backoff = supervisor.Backoff{First: first, Factor: 1.5, Steady: 30 * time.Second, Always: true, Jitter: 0.1}
	}
	return r
}

// stopRule is PM2's; a Go worker drains at its signal, which takes as long as its settings say, if that is longer.
func stopRule(ap seen) supervisor.StopRule {
	a := &ap.app
	r := supervisor.StopRule{Timeout: a.KillTimeout.D(), Tree: supervisor.TreeToo}
	r.Signal, _ = pm2.ParseSignal(a.StopSignal) // validated
	if !a.TreeKill {
		r.Tree = supervisor.TreeSpare
	}
	if a.ShutdownWithMessage && (ap.kind == nodeCluster || ap.kind == nodeFork) {
		r.Message = `"shutdown"`
	}
	if ap.kind == goWorker {
		r.Timeout = max(r.Timeout, ap.set.DrainDelay+ap.set.ShutdownTimeout+time.Second)
	}
	return r
}

// identity is whom an app's processes run as.
type identity struct {
	user *supervisor.User // nil: as the daemon
	home string           // empty: the daemon's
}

func whom(a *pm2.App) (id identity, err error) {
	if a.UID == "" && a.GID == "" {
		return id, nil
	}
	u := supervisor.User{UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	if a.UID != "" {
		found, err := lookUser(a.UID)
		if err != nil {
			return id, fmt.Errorf("uid must be a user of this host: %w", err)
		}
		id.home = found.HomeDir
		u.UID, u.GID = number(found.Uid), number(found.Gid)
	}
	if a.GID != "" {
		found, err := user.LookupGroup(a.GID)
		switch n, numeric := strconv.Atoi(a.GID); {
		case numeric == nil && n >= 0:
			u.GID = uint32(n)
		case err != nil:
			return id, fmt.Errorf("gid must be a group of this host: %w", err)
		default:
			u.GID = number(found.Gid)
		}
	}
	id.user = &u
	return id, nil
}

// lookUser finds a user by name or number. A number need not be in the system's table.
func lookUser(text string) (*user.User, error) {
	if n, err := strconv.Atoi(text); err == nil && n >= 0 {
		if found, err := user.LookupId(text); err == nil {
			return found, nil
		}
		return &user.User{Uid: text, Gid: text}, nil
	}
	return user.Lookup(text)
}

func number(text string) uint32 {
	n, _ := strconv.ParseUint(text, 10, 32)
	return uint32(n)
}

// routerSpec is a router of an app, with its first door. behind is the app of the directory that it serves.
func (d *Daemon) routerSpec(ap seen, first *door, behind string) supervisor.Spec {
	listeners, redirect := first.listeners()
	return supervisor.Spec{
		Name: first.router, Group: ap.key + "/services", Command: d.service("router"),
		Environ: append(d.serviceEnv(ap, first.advertise), "SIDEREAL_APP="+behind, fmt.Sprintf("SIDEREAL_LISTEN_REDIRECT=%d", redirect)),
		User:    ap.user, Stage: stageRouter, Yields: true, Listeners: listeners, FatalCode: errorCode, AliveTimeout: ap.set.AliveTimeout,
		FreezeTimeout: ap.set.FreezeTimeout,
		Stop:          supervisor.StopRule{Timeout: ap.set.DrainDelay + ap.set.ShutdownTimeout + time.Second},
	}
}

// nodehostSpec is the nodehost of an app.
func (d *Daemon) nodehostSpec(ap seen) supervisor.Spec {
	advertise := ""
	if ap.kind.routed() {
		advertise = ap.guessAdvertise()
	}
	return supervisor.Spec{
		Name: ap.nodehost(), Group: ap.key + "/services", Command: d.service("nodehost"), Environ: d.serviceEnv(ap, advertise),
		User: ap.user, Stage: stageHosts, FatalCode: errorCode, AliveTimeout: ap.set.AliveTimeout, FreezeTimeout: ap.set.FreezeTimeout,
	}
}

// service is the command line of one of our own processes.
func (d *Daemon) service(name string) []string { return append(slices.Clone(d.cfg.Program), name) }

// serviceEnv is the environment of an app's services: the daemon's own, with the app's settings in place of its.
func (d *Daemon) serviceEnv(ap seen, advertise string) []string {
	return append(d.plainEnv(), d.settingsEnv(ap, advertise)...)
}

// plainEnv is the daemon's environment without anything that services take for a setting.
func (d *Daemon) plainEnv() (env []string) {
	for _, kv := range d.environ {
		name, _, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "SIDEREAL_") && !strings.HasPrefix(name, "LISTEN_") && !slices.Contains(settingsOfOthers, name) {
			env = append(env, kv)
		}
	}
	return env
}

// settingsOfOthers are variables without our prefix that are settings all the same.
var settingsOfOthers = []string{"REDIS_URL", "PM2_PORT", "PORT", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}

// settingsEnv are an app's settings as its services and Go workers read them.
func (d *Daemon) settingsEnv(ap seen, advertise string) []string {
	env := append(ap.settings.Environ(), "SIDEREAL_RUNTIME_DIR="+ap.dir.Path)
	if advertise != "" {
		env = append(env, "SIDEREAL_ADVERTISE="+advertise)
	}
	if ap.redis != nil {
		env = append(env, "SIDEREAL_REDIS_URL="+ap.redis.set.RedisURL, "SIDEREAL_REDIS_PASSWORD="+ap.redis.set.RedisPassword)
	}
	return env
}

// processEnv is the environment of a process of the list: the app's, what PM2 tells its processes, and for a Go worker our
// settings.
func (d *Daemon) processEnv(e *entry, ap seen, who identity) map[string]string {
	a := &ap.app
	env := map[string]string{}
	for name, value := range a.Env {
		if !config.ForChild(name) && !strings.HasPrefix(name, "NODE_CHANNEL_") && name != "NODE_UNIQUE_ID" && name != ReadyEnv {
			env[name] = value
		}
	}
	if ap.kind == goWorker {
		for _, kv := range d.settingsEnv(ap, ap.advertise) {
			name, value, _ := strings.Cut(kv, "=")
			env[name] = value
		}
		if env["GOMAXPROCS"] == "" {
			env["GOMAXPROCS"] = strconv.Itoa(supervisor.Share(max(len(ap.entries), 1)))
		}
	}
	if a.Port != 0 {
		env["PORT"] = strconv.Itoa(a.Port)
	}
	instance := strconv.Itoa(e.instance)
	for name, value := range map[string]string{
		cmp.Or(a.InstanceVar, "NODE_APP_INSTANCE"): instance, "WORKER_ID": instance, "SIDEREAL_WORKER_ID": strconv.Itoa(e.instance + 1),
		"pm_id": strconv.Itoa(e.id), "name": a.Name, "namespace": a.Namespace, "exec_mode": string(a.ExecMode),
		"instances": strconv.Itoa(max(len(ap.entries), 1)), "pm_cwd": a.Cwd, "pm_exec_path": a.Script, "unique_id": e.uniqueID,
		"pm_out_log_path": pathOf(e.out.file), "pm_err_log_path": pathOf(e.err.file), "pm_pid_path": d.pidFile(e, a),
		"PM2_HOME": string(d.cfg.Home),
	} {
		env[name] = value
	}
	if a.IncrementVar != "" {
		first, _ := strconv.Atoi(a.Env[a.IncrementVar])
		env[a.IncrementVar] = strconv.Itoa(first + e.instance)
	}
	if who.home != "" {
		env["HOME"] = who.home
	}
	return env
}

func pathOf(l *logFile) string {
	if l == nil {
		return ""
	}
	return l.path
}

// pidFile is the file with the id of a process.
func (d *Daemon) pidFile(e *entry, a *pm2.App) string {
	if f := a.PIDFile; f != "" {
		return numbered(f, e.id)
	}
	return filepath.Join(d.cfg.Home.PIDs(), fmt.Sprintf("%s-%d.pid", fileName(a.Name), e.id))
}

// numbered puts a number before a file name's extension.
func numbered(path string, id int) string {
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, ext), id, ext)
}

// fileName makes a name usable in a file's: PM2 puts a dash for blanks, and so do we for separators.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '/' || r == ' ' || r == 0 {
			return '-'
		}
		return r
	}, name)
}
