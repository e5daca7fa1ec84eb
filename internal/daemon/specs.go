package daemon

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// errorCode is how services report a wrong setting: another start would not help.
const errorCode = config.ExitUsage

// planned are the specs of processes, by the settings of now.
func (d *Daemon) planned(entries []*entry) (specs []supervisor.Spec, err error) {
	plans := map[*application]map[string]supervisor.Spec{}
	for _, e := range entries {
		if plans[e.app] == nil {
			if plans[e.app], err = d.planOf(d.see(e.app)); err != nil {
				return nil, err
			}
		}
		s, ok := plans[e.app][e.place]
		if !ok { // deleted meanwhile
			return nil, supervisor.ErrNoPlace
		}
		specs = append(specs, s)
	}
	return specs, nil
}

// planOf is what the host runs for an app.
func (d *Daemon) planOf(ap seen) (map[string]supervisor.Spec, error) {
	var processes []host.Process
	for _, e := range ap.entries {
		p, err := d.process(e, ap)
		if err != nil {
			return nil, err
		}
		processes = append(processes, p)
	}
	return ap.deployment.Specs(processes)
}

// process describes a process of the list.
func (d *Daemon) process(e *entry, ap seen) (host.Process, error) {
	a := &ap.app
	who, err := identityOf(a)
	if err != nil {
		return host.Process{}, err
	}
	schedule, err := pm2.ParseCron(a.CronRestart)
	if err != nil {
		return host.Process{}, &Failure{Code: config.ExitUsage, Text: prefixed(a.Name, "cron_restart "+err.Error())}
	}
	p := host.Process{Slot: e.instance + 1, Interpreted: a.Interpreter != "none" && !pm2.LikeNode(a.Interpreter), WaitReady: a.WaitReady, ListenTimeout: cmp.Or(a.ListenTimeout.D(), pm2.Default().ListenTimeout.D())}
	p.Spec = supervisor.Spec{
		Name: e.place, Command: command(d.cfg.Program, a, e.instance), Dir: a.Cwd, Environ: pairs(appEnv(a)), Env: pairs(d.processEnv(e, ap, who)), User: who.user,
		Manual: true, Restart: restartRule(a), Stop: stopRule(ap), MemoryLimit: a.MaxMemoryRestart,
		Stdout: e.out, Stderr: e.err,
		Input: ap.kind != host.NodeCluster, // as PM2 has it: `send` writes there
	}
	if schedule != nil {
		p.Schedule = schedule
	}
	if ap.kind == host.Worker || a.Static {
		p.FatalCode = errorCode
	}
	return p, nil
}

// FileServer is the argument by which this program serves a folder, for apps that are static.
const FileServer = "fileserver"

// command is the command line of an app's process. Program is that of this program.
func command(program []string, a *pm2.App, instance int) []string {
	if a.Static { // a saved list may be older than this program's place
		return slices.Concat(program, []string{FileServer}, a.Args)
	}
	var c []string
	if a.Interpreter != "none" {
		c = append(c, a.InterpreterPath())
		for _, arg := range a.NodeArgs {
			c = append(c, inspectArg(arg, instance))
		}
	}
	return append(append(c, a.Script), a.Args...)
}

// inspectFlag is Node's flag for its inspector, with a host and port.
var inspectFlag = regexp.MustCompile(`^(--inspect(?:-brk|-wait|-port)?)(?:=(?:(.*):)?(\d+))?$`)

// inspectArg gives each instance an inspector's port of its own, as Node's cluster does.
func inspectArg(arg string, instance int) string {
	m := inspectFlag.FindStringSubmatch(arg)
	if m == nil || instance == 0 || m[3] == "0" || m[1] == "--inspect-port" && m[3] == "" {
		return arg
	}
	port, err := strconv.Atoi(cmp.Or(m[3], "9229"))
	if err != nil || port+instance >= 1<<16 {
		return arg
	}
	if m[2] != "" {
		return fmt.Sprintf("%s=%s:%d", m[1], m[2], port+instance)
	}
	return fmt.Sprintf("%s=%d", m[1], port+instance)
}

// restartRule is PM2's, with waits between quick ends: each end in a row waits longer, up to 1 s,
// as the crash loop ends in `errored` anyway.
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

// stopRule is PM2's.
func stopRule(ap seen) supervisor.StopRule {
	a := &ap.app
	r := supervisor.StopRule{Timeout: a.KillTimeout.D(), Tree: supervisor.TreeToo}
	r.Signal, _ = pm2.ParseSignal(a.StopSignal) // validated
	if !a.TreeKill {
		r.Tree = supervisor.TreeSpare
	}
	if a.ShutdownWithMessage && ap.kind.Channeled() {
		r.Message = `"shutdown"`
	}
	return r
}

// identity is whom an app's processes run as.
type identity struct {
	user *supervisor.User // nil: as the daemon
	home string           // empty: the daemon's
}

// identityOf finds out whom an app's processes run as.
func identityOf(a *pm2.App) (identity, error) {
	id, err := lookIdentity(a)
	if err != nil {
		err = &Failure{Code: config.ExitUsage, Text: prefixed(a.Name, err.Error())}
	}
	return id, err
}

func lookIdentity(a *pm2.App) (id identity, err error) {
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

// appEnv is the environment that an app sets for its processes, without what only a supervisor or a
// daemon may set.
func appEnv(a *pm2.App) map[string]string {
	env := map[string]string{}
	for name, value := range a.Env {
		if !config.ForChild(name) && !strings.HasPrefix(name, "NODE_CHANNEL_") && name != "NODE_UNIQUE_ID" && name != ReadyEnv {
			env[name] = value
		}
	}
	return env
}

// processEnv is what PM2 tells each process in its environment.
func (d *Daemon) processEnv(e *entry, ap seen, who identity) map[string]string {
	a := &ap.app
	env := map[string]string{}
	if a.Port != 0 {
		env["PORT"] = strconv.Itoa(a.Port)
	}
	instance := strconv.Itoa(e.instance)
	for name, value := range map[string]string{
		cmp.Or(a.InstanceVar, "NODE_APP_INSTANCE"): instance, "WORKER_ID": instance,
		"pm_id": strconv.Itoa(e.id), "name": a.Name, "namespace": a.Namespace, "exec_mode": string(a.ExecMode),
		"instances": strconv.Itoa(max(len(ap.entries), 1)), "pm_cwd": a.Cwd, "pm_exec_path": a.Script, "unique_id": e.uniqueID,
		"pm_out_log_path": pathOf(e.out.file), "pm_err_log_path": pathOf(e.err.file), "pm_pid_path": d.pids.path(e, a),
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

func pathOf(l *logfile.File) string {
	if l == nil {
		return ""
	}
	return l.Path()
}

var numberable = regexp.MustCompile(`(?:-[0-9]+)?(\.log|\.pid)$`)

// numbered puts a process's number into the name of its log or pid file, as PM2 does: in place of a
// number before the extension, and only before .log and .pid.
func numbered(path string, id int) string {
	return numberable.ReplaceAllString(path, fmt.Sprintf("-%d$1", id))
}
