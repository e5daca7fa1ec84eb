package pm2

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// ready is an app that breaks no rule.
func ready() App {
	a := Default()
	a.Name, a.Script, a.Cwd = "api", "/srv/api.js", "/srv"
	a.Env = map[string]string{"A": "1"}
	return a
}

func TestAppTravelsAsJSON(t *testing.T) {
	a := ready()
	glob, err := Glob("public/*")
	if err != nil {
		t.Fatal(err)
	}
	a.IgnoreWatch = append(a.IgnoreWatch, glob)
	a.Stages = map[string]map[string]string{"production": {"A": "2"}}
	a.KillTimeout, a.Autorestart = Duration(3*time.Second), false
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(raw), `"kill_timeout":3000`) {
		t.Errorf("kill_timeout is not in milliseconds: %s", raw)
	}
	var got App
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, a) {
		t.Errorf("got %+v\nwant %+v", got, a)
	}
}

func TestCount(t *testing.T) {
	for _, c := range []struct{ instances, cores, want int }{
		{1, 4, 1}, {7, 4, 7}, {0, 4, 4}, {-1, 4, 3}, {-4, 4, 1}, {-9, 4, 1}, {0, 0, 1},
	} {
		a := App{Instances: c.instances}
		if got := a.Count(c.cores); got != c.want {
			t.Errorf("instances %d on %d cores: %d, want %d", c.instances, c.cores, got, c.want)
		}
	}
}

func TestFiltered(t *testing.T) {
	shell := map[string]string{"HOME": "/root", "AWS_KEY": "k", "MY_AWS": "m"}
	for _, c := range []struct {
		filter []string
		want   map[string]string
	}{
		{nil, shell},
		{[]string{"AWS"}, map[string]string{"HOME": "/root"}},
		{[]string{""}, map[string]string{}},
	} {
		a := App{FilterEnv: c.filter}
		if got := a.Filtered(shell); !reflect.DeepEqual(got, c.want) {
			t.Errorf("filter %q: %v, want %v", c.filter, got, c.want)
		}
	}
}

func TestValidateNamesAppFieldAndRule(t *testing.T) {
	ok := ready()
	if err := ok.Validate(); err != nil {
		t.Fatalf("a good app: %v", err)
	}
	for field, spoil := range map[string]func(*App){
		"name": func(a *App) { a.Name = "" }, "namespace": func(a *App) { a.Namespace = "" },
		"script": func(a *App) { a.Script = "api.js" }, "cwd": func(a *App) { a.Cwd = "" },
		"out_file": func(a *App) { a.OutFile = "out.log" }, "error_file": func(a *App) { a.ErrorFile = "/a\x00b" },
		"log_file": func(a *App) { a.LogFile = "x" }, "pid_file": func(a *App) { a.PIDFile = "x" },
		"watch": func(a *App) { a.Watch = []string{"src"} }, "interpreter": func(a *App) { a.Interpreter = "" },
		"exec_mode": func(a *App) { a.ExecMode = "thread" }, "instances": func(a *App) { a.Instances = 1 << 20 },
		"port": func(a *App) { a.Port = 70000 }, "max_restarts": func(a *App) { a.MaxRestarts = -1 },
		"min_uptime": func(a *App) { a.MinUptime = -1 }, "max_memory_restart": func(a *App) { a.MaxMemoryRestart = -1 },
		"log_type": func(a *App) { a.LogType = "xml" }, "kill_timeout": func(a *App) { a.KillTimeout = -1 },
		"restart_delay": func(a *App) { a.RestartDelay = -1 }, "listen_timeout": func(a *App) { a.ListenTimeout = -1 },
		"exp_backoff_restart_delay": func(a *App) { a.ExpBackoffRestartDelay = -1 }, "watch_delay": func(a *App) { a.WatchDelay = -1 },
		"kill_retry_time": func(a *App) { a.KillRetryTime = -1 },
		"env":             func(a *App) { a.Env = map[string]string{"A=B": ""} },
		"env_stage":       func(a *App) { a.Stages = map[string]map[string]string{"stage": {"A": "\x00"}} },
		"cron_restart":    func(a *App) { a.CronRestart = "daily" }, "stop_signal": func(a *App) { a.StopSignal = "SIGNONE" },
	} {
		a := ready()
		spoil(&a)
		err := a.Validate()
		var wrong *FieldError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v", field, err)
			continue
		}
		if want := a.Name + ": " + field + " "; a.Name != "" && !strings.HasPrefix(wrong.Error(), want) {
			t.Errorf("%q does not begin with %q", wrong.Error(), want)
		}
	}
}

// TestInterpreterOfTheAppsPath: an app's own PATH decides, as in a virtual environment of Python.
func TestInterpreterOfTheAppsPath(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, "venv", "bin", "python3")
	if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	a := App{Cwd: dir, Interpreter: "python3", Env: map[string]string{"PATH": "/nowhere:venv/bin"}}
	if got := a.InterpreterPath(); got != own {
		t.Errorf("%s, want %s", got, own)
	}
	for _, other := range []string{"ruby", "/usr/bin/python3"} {
		if a.Interpreter = other; a.InterpreterPath() != other {
			t.Errorf("%s became %s", other, a.InterpreterPath())
		}
	}
}
