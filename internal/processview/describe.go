package processview

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

// Describe writes everything about one process. Of its environment it writes the variables that
// differ from the shell's.
func Describe(s Screen, p *daemon.Process, status *daemon.AppStatus, shell map[string]string, now time.Time) error {
	a := &status.App
	if _, err := fmt.Fprintf(s, " %s\n", s.paint(bold, fmt.Sprintf("Process %d: %s", p.ID, clean(p.Name)))); err != nil {
		return err
	}
	if err := pairs(s, processPairs(p, a, now)); err != nil {
		return err
	}
	if err := services(s, status); err != nil {
		return err
	}
	own := ownVariables(a, shell)
	if len(own) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(s, " %s\n", s.paint(bold, "Environment, where it differs from this shell's")); err != nil {
		return err
	}
	return pairs(s, own)
}

// pair is a line of a description. Lines without a value are left out.
type pair struct {
	name, value string
	color       color
}

func pairs(s Screen, list []pair) error {
	t := table{noHead: true, columns: []column{{}, {min: 10}}}
	for _, p := range list {
		if p.value != "" {
			t.rows = append(t.rows, []cell{{p.name, cyan}, {clean(p.value), p.color}})
		}
	}
	return t.write(s)
}

func processPairs(p *daemon.Process, a *pm2.App, now time.Time) []pair {
	return append([]pair{
		{name: "status", value: string(p.Status), color: statusColor(p.Status)},
		{name: "last end", value: p.Reason},
		{name: "name", value: p.Name},
		{name: "namespace", value: p.Namespace},
		{name: "version", value: version(a)},
		{name: "pid", value: pid(p)},
		{name: "worker", value: p.Worker},
		{name: "port", value: number(int64(p.Port))},
		{name: "adapter", value: adapter(p)},
		{name: "restarts", value: fmt.Sprint(p.Restarts)},
		{name: "unstable restarts", value: fmt.Sprint(p.Unstable)},
		{name: "uptime", value: uptime(p, now)},
		{name: "created at", value: moment(p.Created)},
		{name: "reloaded at", value: moment(p.ReloadedAt)},
		{name: "last exit code", value: exitCode(p)},
		{name: "cpu", value: percent(p.CPU)},
		{name: "memory", value: size(p.Memory)},
	}, appPairs(p, a)...)
}

// adapter says that Socket.IO servers of a process got Sidereal's adapter.
func adapter(p *daemon.Process) string {
	switch p.Adapters {
	case 0:
		return ""
	case 1:
		return "Sidereal's, since the app sets none"
	}
	return fmt.Sprintf("Sidereal's in %d Socket.IO servers that set none", p.Adapters)
}

func appPairs(p *daemon.Process, a *pm2.App) []pair {
	return []pair{
		{name: "script path", value: a.Script},
		{name: "script args", value: strings.Join(a.Args, " ")},
		{name: "exec cwd", value: a.Cwd},
		{name: "exec mode", value: string(p.Mode)},
		{name: "instance", value: fmt.Sprint(p.Instance)},
		{name: "interpreter", value: a.Interpreter},
		{name: "interpreter args", value: strings.Join(a.NodeArgs, " ")},
		{name: "out log path", value: p.OutFile},
		{name: "error log path", value: p.ErrorFile},
		{name: "log path", value: p.LogFile},
		{name: "pid path", value: p.PIDFile},
		{name: "autorestart", value: fmt.Sprint(a.Autorestart)},
		{name: "max restarts", value: fmt.Sprintf("%d within %v each", a.MaxRestarts, a.MinUptime.D())},
		{name: "memory limit", value: limit(a)},
		{name: "kill timeout", value: a.KillTimeout.D().String()},
		{name: "cron restart", value: a.CronRestart},
		{name: "watch", value: strings.Join(a.Watch, " ")},
		{name: "user", value: user(a)},
	}
}

func services(s Screen, status *daemon.AppStatus) error {
	if where := reached(status); where != "" {
		if _, err := fmt.Fprintf(s, " %s %s\n", s.paint(bold, "Reached"), where); err != nil {
			return err
		}
	}
	for _, sv := range status.Services {
		if _, err := fmt.Fprintf(s, " %s %s, pid %d, %s\n", s.paint(bold, clean(sv.Name)), s.paint(statusColor(sv.Status), string(sv.Status)), sv.PID, size(sv.Memory)); err != nil {
			return err
		}
	}
	for _, problem := range status.Problems {
		if _, err := fmt.Fprintf(s, " %s\n", s.paint(red, clean(problem))); err != nil {
			return err
		}
	}
	for _, warning := range status.Warnings {
		if _, err := fmt.Fprintf(s, " %s\n", s.paint(yellow, clean(warning))); err != nil {
			return err
		}
	}
	return nil
}

func ownVariables(a *pm2.App, shell map[string]string) (list []pair) {
	for _, name := range sortedKeys(a.Env) {
		if v, same := shell[name]; !same || v != a.Env[name] {
			list = append(list, pair{name: name, value: a.Env[name]})
		}
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.RFC3339)
}

func exitCode(p *daemon.Process) string {
	switch {
	case p.ExitCode == nil:
		return ""
	case *p.ExitCode < 0:
		return "a signal"
	}
	return fmt.Sprint(*p.ExitCode)
}

func limit(a *pm2.App) string {
	if a.MaxMemoryRestart == 0 {
		return ""
	}
	return size(a.MaxMemoryRestart)
}
