package processview

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// record is one process in `jlist`, with PM2's keys.
type record struct {
	PID    int            `json:"pid"`
	Name   string         `json:"name"`
	Env    map[string]any `json:"pm2_env"`
	ID     int            `json:"pm_id"`
	Sample sample         `json:"monit"`
}

type sample struct {
	Memory int64   `json:"memory"`
	CPU    float64 `json:"cpu"`
}

// JList writes all processes as one line of JSON.
func JList(w io.Writer, l daemon.Listing) error {
	records := make([]record, 0, len(l.Processes))
	instances := map[string]int{}
	for _, p := range l.Processes {
		instances[p.App]++
	}
	for i := range l.Processes {
		p := &l.Processes[i]
		app := l.Apps[p.App]
		app.App.Instances = instances[p.App] // the actual number, not the requested one
		records = append(records, record{p.PID, p.Name, environment(p, &app), p.ID, sample{p.Memory, p.CPU}})
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(records)
}

// environment returns PM2's record of a process: its environment, overlaid with PM2's own fields.
func environment(p *daemon.Process, status *daemon.AppStatus) map[string]any {
	app := &status.App
	env := map[string]any{}
	for name, v := range app.Env {
		env[name] = v
	}
	maps.Copy(env, settings(app))
	maps.Copy(env, map[string]any{
		"name": p.Name, "namespace": p.Namespace, "pm_id": p.ID, "status": string(p.Status), "unique_id": p.UniqueID,
		"pm_uptime": millis(p.Started), "created_at": millis(p.Created), "restart_time": p.Restarts, "unstable_restarts": unstable(p),
		"exec_mode": string(p.Mode), "pm_out_log_path": cmp.Or(p.OutFile, pm2.LogOff), "pm_err_log_path": cmp.Or(p.ErrorFile, pm2.LogOff), "pm_pid_path": p.PIDFile,
		app.InstanceVar: p.Instance, "env": processEnv(p, app),
	})
	if !p.Started.IsZero() { // PM2 looks it up at the start
		env["version"] = version(app)
	}
	if p.LogFile != "" {
		env["pm_log_path"] = p.LogFile
	}
	if p.ExitCode != nil {
		env["exit_code"] = max(*p.ExitCode, 0) // PM2's is 0 after a signal
	}
	if app.IncrementVar != "" {
		env[app.IncrementVar] = incremented(p, app)
	}
	if p.Port != 0 {
		env["PORT"] = p.Port
	}
	return env
}

// incremented returns the value of increment_var for a process.
func incremented(p *daemon.Process, a *pm2.App) int {
	first, _ := strconv.Atoi(a.Env[a.IncrementVar]) // 0 without one
	return first + p.Instance
}

// unstable returns the unstable ends of a process. PM2 forgets them when it gives up.
func unstable(p *daemon.Process) int {
	if p.Status == daemon.Errored {
		return 0
	}
	return p.Unstable
}

// settings returns an app's fields by the names in PM2's record.
func settings(a *pm2.App) map[string]any {
	s := map[string]any{
		"pm_exec_path": a.Script, "pm_cwd": a.Cwd, "exec_interpreter": a.Interpreter, "node_args": list(a.NodeArgs),
		"instances": a.Instances, "instance_var": a.InstanceVar, "autostart": a.Autostart, "autorestart": a.Autorestart,
		"max_restarts": a.MaxRestarts, "min_uptime": a.MinUptime, "restart_delay": a.RestartDelay,
		"exp_backoff_restart_delay": a.ExpBackoffRestartDelay, "kill_timeout": a.KillTimeout, "kill_retry_time": a.KillRetryTime,
		"listen_timeout": a.ListenTimeout, "wait_ready": a.WaitReady, "shutdown_with_message": a.ShutdownWithMessage, "treekill": a.TreeKill,
		"watch": watched(a), "merge_logs": a.MergeLogs, "username": user(a), "windowsHide": true,
		"vizion": false, "pmx": false, "automation": false, "km_link": false, "vizion_running": false,
		"axm_actions": []any{}, "axm_monitor": map[string]any{}, "axm_options": map[string]any{}, "axm_dynamic": map[string]any{},
	}
	for name, v := range map[string]string{"cron_restart": a.CronRestart, "log_date_format": a.LogDateFormat, "log_type": a.LogType,
		"increment_var": a.IncrementVar, "uid": a.UID, "gid": a.GID} {
		if v != "" {
			s[name] = v
		}
	}
	if a.MaxMemoryRestart != 0 {
		s["max_memory_restart"] = a.MaxMemoryRestart
	}
	if len(a.Args) > 0 {
		s["args"] = a.Args
	}
	if len(a.WatchOptions) > 0 {
		s["watch_options"] = a.WatchOptions
	}
	if a.WatchDelay != 0 {
		s["watch_delay"] = a.WatchDelay
	}
	if ignored := a.Ignored(); len(ignored) > 0 {
		s["ignore_watch"] = ignored
	}
	if a.LogDateFormat == pm2.TimeFormat {
		s["time"] = true
	}
	if len(a.FilterEnv) > 0 {
		s["filter_env"] = a.FilterEnv
	}
	if len(a.StopExitCodes) > 0 {
		s["stop_exit_codes"] = a.StopExitCodes
	}
	return s
}

// processEnv returns the environment of one process.
func processEnv(p *daemon.Process, a *pm2.App) map[string]string {
	env := maps.Clone(a.Env)
	if env == nil {
		env = map[string]string{}
	}
	for name, v := range map[string]any{
		a.InstanceVar: p.Instance, "WORKER_ID": p.Instance, "SIDEREAL_WORKER_ID": p.Instance + 1, "pm_id": p.ID, "unique_id": p.UniqueID,
		"name": p.Name, "namespace": p.Namespace, "exec_mode": p.Mode, "pm_cwd": a.Cwd, "pm_exec_path": a.Script,
		"pm_out_log_path": p.OutFile, "pm_err_log_path": p.ErrorFile, "pm_pid_path": p.PIDFile,
	} {
		env[name] = fmt.Sprint(v)
	}
	if a.IncrementVar != "" {
		env[a.IncrementVar] = strconv.Itoa(incremented(p, a))
	}
	if p.Port != 0 {
		env["PORT"] = fmt.Sprint(p.Port)
	}
	return env
}

// Env writes the environment of a process, one variable per line.
func Env(w io.Writer, p *daemon.Process, a *pm2.App) error {
	var b strings.Builder
	env := processEnv(p, a)
	for _, name := range sortedKeys(env) {
		fmt.Fprintf(&b, "%s: %s\n", name, env[name])
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// EnvJSON writes the environment of a process as an object.
func EnvJSON(w io.Writer, p *daemon.Process, a *pm2.App) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(processEnv(p, a))
}

func list(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}

// watched returns PM2's value: false, true for the working directory, or the paths from there.
func watched(a *pm2.App) any {
	switch {
	case len(a.Watch) == 0:
		return false
	case len(a.Watch) == 1 && a.Watch[0] == a.Cwd:
		return true
	}
	paths := make([]string, len(a.Watch))
	for i, path := range a.Watch {
		paths[i] = path
		if rel, err := filepath.Rel(a.Cwd, path); err == nil && filepath.IsLocal(rel) {
			paths[i] = rel
		}
	}
	return paths
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
