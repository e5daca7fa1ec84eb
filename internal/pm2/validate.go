package pm2

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Limits that no real app reaches: a larger number is a mistake or an attack.
const (
	maxInstances = 4096
	maxRestarts  = 1 << 30
	maxName      = 200 // bytes: log files are called by it, with more behind
)

// Validate reports all that is wrong with an app, as joined FieldErrors. Call it for an App that
// this package didn't read.
func (a *App) Validate() error {
	v := validation{app: a.Name}
	v.check(a.Name != "" && !strings.ContainsAny(a.Name, "\x00\n"), "name", "must be one line of text")
	v.check(len(a.Name) <= maxName, "name", fmt.Sprintf("must not be longer than %d bytes", maxName))
	v.check(a.Namespace != "", "namespace", "must not be empty")
	v.absolute("script", a.Script, true)
	v.absolute("cwd", a.Cwd, true)
	v.absolute("out_file", a.OutFile, false)
	v.absolute("error_file", a.ErrorFile, false)
	v.absolute("log_file", a.LogFile, false)
	v.absolute("pid_file", a.PIDFile, false)
	for _, w := range a.Watch {
		v.absolute("watch", w, true)
	}
	v.check(a.Interpreter != "", "interpreter", `must be a program or "none"`)
	v.check(a.ExecMode == Cluster || a.ExecMode == Fork, "exec_mode", "must be cluster or fork")
	v.check(a.Instances >= -maxInstances && a.Instances <= maxInstances, "instances", fmt.Sprintf("must not be beyond %d", maxInstances))
	v.check(a.Port >= 0 && a.Port <= 65535, "port", "must be between 0 and 65535")
	v.check(a.MaxRestarts >= 0 && a.MaxRestarts <= maxRestarts, "max_restarts", "must not be negative")
	v.check(a.MinUptime >= 0, "min_uptime", "must not be negative")
	v.check(a.MaxMemoryRestart >= 0, "max_memory_restart", "must not be negative")
	v.check(a.LogType == "" || a.LogType == "json", "log_type", `must be "json"`)
	v.durations(a)
	v.environment("env", a.Env)
	for _, stage := range slices.Sorted(maps.Keys(a.Stages)) {
		v.environment("env_"+stage, a.Stages[stage])
	}
	if _, err := ParseCron(a.CronRestart); err != nil {
		v.check(false, "cron_restart", err.Error())
	}
	if _, err := ParseSignal(a.StopSignal); err != nil {
		v.check(false, "stop_signal", err.Error())
	}
	return errors.Join(v.errs...)
}

type validation struct {
	app  string
	errs []error
}

func (v *validation) check(ok bool, field, rule string) {
	if !ok {
		v.errs = append(v.errs, &FieldError{App: v.app, Field: field, Rule: rule})
	}
}

func (v *validation) absolute(field, path string, needed bool) {
	v.check(path == "" && !needed || filepath.IsAbs(path) && !strings.Contains(path, "\x00"), field, "must be an absolute path")
}

func (v *validation) durations(a *App) {
	for _, d := range []struct {
		field string
		time  Duration
	}{
		{"restart_delay", a.RestartDelay}, {"exp_backoff_restart_delay", a.ExpBackoffRestartDelay}, {"kill_timeout", a.KillTimeout},
		{"kill_retry_time", a.KillRetryTime}, {"listen_timeout", a.ListenTimeout}, {"watch_delay", a.WatchDelay},
	} {
		v.check(d.time >= 0, d.field, "must not be negative")
	}
}

// environment refuses variables that the kernel would cut or misread.
func (v *validation) environment(field string, env map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		v.check(name != "" && !strings.ContainsAny(name, "=\x00"), field, fmt.Sprintf("has a variable %q, which is no valid name", name))
		v.check(!strings.Contains(env[name], "\x00"), field, fmt.Sprintf("has a zero byte in %s", name))
	}
}

// FieldError reports a field of an app that breaks its rule. The author of the file can fix it.
type FieldError struct {
	File  string // empty for the command line
	App   string // its name, or its place in the file; may be empty
	Field string // empty: the app as a whole
	Rule  string // "must be ...", or what else is wrong
}

func (e *FieldError) Error() string {
	parts := []string{e.File, e.App}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return strings.Join(append(parts, strings.TrimSpace(e.Field+" "+e.Rule)), ": ")
}
