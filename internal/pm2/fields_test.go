package pm2

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// folder is a working directory with the scripts that the tests name.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"worker.js": "setInterval(() => {}, 1000)\n", "run.sh": "sleep 1\n", "tool": "#!/bin/sh\nsleep 1\n",
		"program": "\x7fELF\x02\x01\x01\x00\x00\xff", "my app.js": "", "plain": "require('http')\n", "sub/inner.js": "",
		"bin/node": "#!/bin/sh\n", "bin/bash": "#!/bin/sh\n", "bin/python3": "#!/bin/sh\n", "bin/tsx": "#!/bin/sh\n",
		"worker.py": "", "worker.ts": "", "worker.rb": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func loader(t *testing.T) *Loader {
	dir := folder(t)
	return &Loader{Dir: dir, Environ: []string{"PATH=" + filepath.Join(dir, "bin"), "HOME=/home/ann", "SHELL_VAR=shell"}, Logs: "/logs"}
}

// literal reads apps as YAML has them between braces, which spares the tests the quotes of JSON.
func (l *Loader) literal(file, src string) (*Result, error) {
	v, err := readYAML(file, src)
	if err != nil {
		return nil, err
	}
	return l.settle(file, v)
}

// one reads a single app.
func one(t *testing.T, l *Loader, src string) (App, []string) {
	t.Helper()
	r, err := l.literal("ecosystem.yaml", src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	if len(r.Apps) != 1 {
		t.Fatalf("%s: %d apps", src, len(r.Apps))
	}
	return r.Apps[0], r.Notices
}

func patterns(t *testing.T, globs ...string) (list []Pattern) {
	for _, g := range globs {
		p, err := Glob(g)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

// TestFields reads each field in each of its forms, and looks that nothing else of the app differs from the defaults.
func TestFields(t *testing.T) {
	l := loader(t)
	in := func(name string) string { return filepath.Join(l.Dir, name) }
	expr, err := Expression(`\.tmp$`, "i")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fields string
		want   func(*App)
	}{
		{``, func(*App) {}},
		{`name: "api"`, func(a *App) { a.Name = "api" }},
		{`name: 7`, func(a *App) { a.Name = "7" }},
		{`name: null`, func(*App) {}},
		{`namespace: "shop"`, func(a *App) { a.Namespace = "shop" }},
		{`cwd: "."`, func(a *App) { a.Env["PWD"] = a.Cwd }},
		{`args: "-p 80 --title 'two words' --x=\"a b\""`, func(a *App) { a.Args = []string{"-p", "80", "--title", "two words", "--x=a b"} }},
		{`args: ["-p", 80, true]`, func(a *App) { a.Args = []string{"-p", "80", "true"} }},
		{`node_args: "--inspect --max-old-space-size=512"`, func(a *App) { a.NodeArgs = []string{"--inspect", "--max-old-space-size=512"} }},
		{`interpreter_args: ["--inspect"]`, func(a *App) { a.NodeArgs = []string{"--inspect"} }},
		{`interpreterArgs: ["--inspect"]`, func(a *App) { a.NodeArgs = []string{"--inspect"} }},
		{`interpreter: "bash"`, func(a *App) { a.Interpreter = "bash" }},
		{`exec_interpreter: "none"`, func(a *App) { a.Interpreter = "none" }},
		{`interpreter: "./bin/node"`, func(a *App) { a.Interpreter = "./bin/node" }},
		{`interpreter: "python"`, func(a *App) { a.Interpreter, a.Env["PYTHONUNBUFFERED"] = "python3", "1" }},
		{`instances: 3`, func(a *App) { a.Instances, a.ExecMode, a.MergeLogs = 3, Cluster, false }},
		{`instances: 1`, func(a *App) { a.Instances, a.ExecMode, a.MergeLogs = 1, Cluster, false }},
		{`instances: "2"`, func(a *App) { a.Instances, a.ExecMode, a.MergeLogs = 2, Cluster, false }},
		{`instances: "max"`, func(a *App) { a.Instances, a.ExecMode = 0, Cluster }},
		{`instances: 0`, func(a *App) { a.Instances, a.ExecMode = 0, Cluster }},
		{`instances: -1`, func(a *App) { a.Instances, a.ExecMode, a.MergeLogs = -1, Cluster, false }},
		{`instances: -2`, func(a *App) { a.Instances, a.MergeLogs = -2, false }},
		{`instances: -2, exec_mode: "cluster"`, func(a *App) { a.Instances, a.ExecMode, a.MergeLogs = -2, Cluster, false }},
		{`instances: "many"`, func(a *App) { a.Instances, a.ExecMode = 0, Cluster }},
		{`instances: 2, exec_mode: "fork"`, func(a *App) { a.Instances, a.MergeLogs = 2, false }},
		{`instances: "max", exec_mode: "fork"`, func(a *App) { a.Instances = 0 }},
		{`instances: -1, exec_mode: "fork"`, func(a *App) { a.Instances, a.MergeLogs = -1, false }},
		{`instances: 2, merge_logs: true`, func(a *App) { a.Instances, a.ExecMode = 2, Cluster }},
		{`exec_mode: "cluster"`, func(a *App) { a.ExecMode, a.MergeLogs = Cluster, false }},
		{`execMode: "cluster_mode"`, func(a *App) { a.ExecMode, a.MergeLogs = Cluster, false }},
		{`exec_mode: "fork_mode"`, func(*App) {}},
		{`env: {A: 1, B: true, C: {x: [1, "<"]}, D: null, SHELL_VAR: "own"}`, func(a *App) {
			a.Env["A"], a.Env["B"], a.Env["C"], a.Env["D"], a.Env["SHELL_VAR"] = "1", "true", `{"x":[1,"<"]}`, "null", "own"
		}},
		{`env: "A=1 B='x y'"`, func(a *App) { a.Env["A"], a.Env["B"] = "1", "x y" }},
		{`env_production: {A: 2}`, func(a *App) { a.Stages = map[string]map[string]string{"production": {"A": "2"}} }},
		{`port: 3000`, func(a *App) { a.Port, a.Env["PORT"] = 3000, "3000" }},
		{`filter_env: true, env: {A: 1}`, func(a *App) { a.FilterEnv, a.Env = []string{""}, map[string]string{"A": "1"} }},
		{`filter_env: ["SHELL"]`, func(a *App) { a.FilterEnv = []string{"SHELL"}; delete(a.Env, "SHELL_VAR") }},
		{`filterEnv: "SHELL HOME"`, func(a *App) {
			a.FilterEnv = []string{"SHELL", "HOME"}
			delete(a.Env, "SHELL_VAR")
			delete(a.Env, "HOME")
		}},
		{`filter_env: false`, func(*App) {}},
		{`instance_var: "INSTANCE"`, func(a *App) { a.InstanceVar = "INSTANCE" }},
		{`increment_var: "PORT"`, func(a *App) { a.IncrementVar = "PORT" }},
		{`autostart: false`, func(a *App) { a.Autostart = false }},
		{`autorestart: false`, func(a *App) { a.Autorestart = false }},
		{`stop_exit_codes: [0, 143]`, func(a *App) { a.StopExitCodes = []int{0, 143} }},
		{`stopExitCodes: 0`, func(a *App) { a.StopExitCodes = []int{0} }},
		{`stop_exit_codes: "0 1"`, func(a *App) { a.StopExitCodes = []int{0, 1} }},
		{`max_restarts: 3`, func(a *App) { a.MaxRestarts = 3 }},
		{`min_uptime: 5000`, func(a *App) { a.MinUptime = Duration(5 * time.Second) }},
		{`min_uptime: 0`, func(a *App) { a.MinUptime = 0 }},
		{`min_uptime: "5000"`, func(a *App) { a.MinUptime = Duration(5 * time.Second) }},
		{`minUptime: "5s"`, func(a *App) { a.MinUptime = Duration(5 * time.Second) }},
		{`min_uptime: "2m"`, func(a *App) { a.MinUptime = Duration(2 * time.Minute) }},
		{`min_uptime: "1h"`, func(a *App) { a.MinUptime = Duration(time.Hour) }},
		{`restart_delay: 2.5e3`, func(a *App) { a.RestartDelay = Duration(2500 * time.Millisecond) }},
		{`exp_backoff_restart_delay: 100`, func(a *App) { a.ExpBackoffRestartDelay = Duration(100 * time.Millisecond) }},
		{`max_memory_restart: 1048576`, func(a *App) { a.MaxMemoryRestart = 1 << 20 }},
		{`max_memory_restart: "100"`, func(a *App) { a.MaxMemoryRestart = 100 }},
		{`max_memory_restart: "300M"`, func(a *App) { a.MaxMemoryRestart = 300 << 20 }},
		{`maxMemoryRestart: "1G"`, func(a *App) { a.MaxMemoryRestart = 1 << 30 }},
		{`max_memory_restart: "512K"`, func(a *App) { a.MaxMemoryRestart = 512 << 10 }},
		{`kill_timeout: "3000"`, func(a *App) { a.KillTimeout = Duration(3 * time.Second) }},
		{`kill_retry_time: 50`, func(a *App) { a.KillRetryTime = Duration(50 * time.Millisecond) }},
		{`stop_signal: "SIGTERM"`, func(a *App) { a.StopSignal = "SIGTERM" }},
		{`shutdown_with_message: true`, func(a *App) { a.ShutdownWithMessage = true }},
		{`treekill: false`, func(a *App) { a.TreeKill = false }},
		{`wait_ready: true, listen_timeout: 8000`, func(a *App) { a.WaitReady, a.ListenTimeout = true, Duration(8*time.Second) }},
		{`watch: true`, func(a *App) { a.Watch = []string{l.Dir} }},
		{`watch: false`, func(*App) {}},
		{`watch: "sub dir"`, func(a *App) { a.Watch = []string{in("sub dir")} }},
		{`watch: ["sub", "/etc"]`, func(a *App) { a.Watch = []string{in("sub"), "/etc"} }},
		{`ignore_watch: ["logs", "*.log"]`, func(a *App) { a.IgnoreWatch = patterns(t, "logs", "*.log") }},
		{`ignore_watch: "logs tmp"`, func(a *App) { a.IgnoreWatch = patterns(t, "logs", "tmp") }},
		{`ignore_watch: [{$regexp: "\\.tmp$", flags: "i"}]`, func(a *App) { a.IgnoreWatch = []Pattern{expr} }},
		{`ignore_watch: {$regexp: "\\.tmp$", flags: "i"}`, func(a *App) { a.IgnoreWatch = []Pattern{expr} }},
		{`watch_delay: 500`, func(a *App) { a.WatchDelay = Duration(500 * time.Millisecond) }},
		{`watch_options: {followSymlinks: false}`, func(a *App) { a.WatchOptions = map[string]any{"followSymlinks": false} }},
		{`cron_restart: "0 3 * * *"`, func(a *App) { a.CronRestart = "0 3 * * *" }},
		{`cron: "*/10 * * * * *"`, func(a *App) { a.CronRestart = "*/10 * * * * *" }},
		{`cron_restart: 0`, func(*App) {}},
		{`cron_restart: "0"`, func(*App) {}},
		{`out_file: "o.log", error_file: "~/e.log", log_file: "/var/l.log"`, func(a *App) {
			a.OutFile, a.ErrorFile, a.LogFile = in("o.log"), "/home/ann/e.log", "/var/l.log"
		}},
		{`out: "o.log"`, func(a *App) { a.OutFile = in("o.log") }},
		{`output: "/dev/null", err: "NULL"`, func(a *App) { a.OutFile, a.ErrorFile = LogOff, LogOff }},
		{`out_log: "o.log", err_log: "e.log"`, func(a *App) { a.OutFile, a.ErrorFile = in("o.log"), in("e.log") }},
		{`errFile: "e.log", log: "l.log"`, func(a *App) { a.ErrorFile, a.LogFile = in("e.log"), in("l.log") }},
		{`error: "e.log"`, func(a *App) { a.ErrorFile = in("e.log") }},
		{`log_file: true`, func(a *App) { a.LogFile = "/logs/worker.log" }},
		{`combine_logs: false`, func(a *App) { a.MergeLogs = false }},
		{`log_date_format: "HH:mm"`, func(a *App) { a.LogDateFormat = "HH:mm" }},
		{`time: true`, func(a *App) { a.LogDateFormat = "YYYY-MM-DDTHH:mm:ss" }},
		{`time: true, log_date_format: "HH"`, func(a *App) { a.LogDateFormat = TimeFormat }},
		{`time: false, log_date_format: "HH"`, func(a *App) { a.LogDateFormat = "HH" }},
		{`log_type: "json"`, func(a *App) { a.LogType = "json" }},
		{`disable_logs: true`, func(a *App) { a.DisableLogs = true }},
		{`pid_file: "run/a.pid"`, func(a *App) { a.PIDFile = in("run/a.pid") }},
		{`pid: "a.pid"`, func(a *App) { a.PIDFile = in("a.pid") }},
		{`uid: 1000, gid: "staff"`, func(a *App) { a.UID, a.GID = "1000", "staff" }},
		{`user: "www"`, func(a *App) { a.UID = "www" }},
		{`append_env_to_name: true`, func(*App) {}},
		{`nonsense: {a: 1}, toString: 1`, func(*App) {}},
	} {
		want := Default()
		want.Name, want.Script, want.Cwd, want.Interpreter = "worker", in("worker.js"), l.Dir, "node"
		want.Env = Shell(l.Environ)
		c.want(&want)
		got, _ := one(t, l, `{script: "worker.js", `+c.fields+`}`)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", c.fields, asJSON(t, got), asJSON(t, want))
		}
	}
}

func asJSON(t *testing.T, a App) string {
	raw, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestWrongFieldsNameFileAppFieldAndRule(t *testing.T) {
	l := loader(t)
	for fields, want := range map[string]string{
		`name: {}`:                                          "app 1: name must be text, not an object",
		`name: "api", instances: {}`:                        "api: instances must be a number or \"max\", not an object",
		`name: "api", instances: true`:                      "api: instances must be a number or \"max\", not a boolean",
		`name: "api", instances: 1e9`:                       "api: instances must not be beyond 4096",
		`name: "api", autorestart: "yes"`:                   "api: autorestart must be true or false, not \"yes\"",
		`name: "api", max_restarts: "ten"`:                  "api: max_restarts must be a number, not \"ten\"",
		`name: "api", kill_timeout: []`:                     "api: kill_timeout must be a number, not a list",
		`name: "api", restart_delay: -1`:                    "api: restart_delay must be between 0 and 2147483647 milliseconds",
		`name: "api", min_uptime: "5x"`:                     "api: min_uptime must be milliseconds or text like 5s, 2m or 1h, not \"5x\"",
		`name: "api", min_uptime: -1`:                       "api: min_uptime must be between 0 and 2147483647 milliseconds",
		`name: "api", max_memory_restart: "300MB"`:          "api: max_memory_restart must be bytes or text like 300M, 1G or 512K, not \"300MB\"",
		`name: "api", max_memory_restart: -5`:               "api: max_memory_restart must be a size in bytes",
		`name: "api", args: {}`:                             "api: args must be a list of text or text, not an object",
		`name: "api", args: [{}]`:                           "api: args must be a list of text or text, not a list",
		`name: "api", env: []`:                              "api: env must be an object or text like A=1 B=2, not a list",
		`name: "api", env: "A"`:                             "api: env must be an object or text like A=1 B=2, not \"A\"",
		`name: "api", env: {"A=B": 1}`:                      "api: env has a variable \"A=B\", which is no valid name",
		`name: "api", env_prod: 7`:                          "api: env_prod must be an object or text like A=1 B=2, not a number",
		`name: "api", exec_mode: "threads"`:                 "api: exec_mode must be cluster or fork, not \"threads\"",
		`name: "api", exec_mode: 1`:                         "api: exec_mode must be text, not a number",
		`name: "api", port: 70000`:                          "api: port must not be beyond 65535",
		`name: "api", port: -1`:                             "api: port must be between 0 and 65535",
		`name: "api", stop_exit_codes: ["a"]`:               "api: stop_exit_codes must be a list of numbers or a number, not a list",
		`name: "api", watch: 3`:                             "api: watch must be true or false or a path or a list of paths, not a number",
		`name: "api", ignore_watch: 3`:                      "api: ignore_watch must be a list of text or text, not a number",
		`name: "api", ignore_watch: [{$regexp: "(?<=a)b"}]`: "api: ignore_watch /(?<=a)b/ isn't a usable regular expression",
		`name: "api", watch_options: true`:                  "api: watch_options must be an object, not a boolean",
		`name: "api", cron_restart: "daily"`:                "api: cron_restart must be five or six cron fields",
		`name: "api", cron_restart: 5`:                      "api: cron_restart must be text or 0, not a number",
		`name: "api", log_type: "xml"`:                      "api: log_type must be \"json\"",
		`name: "api", log_file: 5`:                          "api: log_file must be a path or true or false, not a number",
		`name: "api", time: "yes"`:                          "api: time must be true or false, not \"yes\"",
		`name: "api", filter_env: 1`:                        "api: filter_env must be true or false or a list of text or text, not a number",
		`name: "api", uid: true`:                            "api: uid must be a number or a name, not a boolean",
		`name: "api", interpreter: []`:                      "api: interpreter must be text, not a list",
		`name: "api", interpreter: "ruby"`:                  "api: interpreter \"ruby\" isn't in PATH: install it, or name another",
		`name: "api", interpreter: "/no/such"`:              "api: interpreter /no/such doesn't exist",
		`name: "api", stop_signal: "SIGNO"`:                 "api: stop_signal must be a signal like SIGTERM or SIGUSR2, not \"SIGNO\"",
		`name: "` + strings.Repeat("n", 201) + `"`:          strings.Repeat("n", 201) + ": name must not be longer than 200 bytes",
		`name: "a\nb"`:                                      "a\nb: name must be one line of text",
	} {
		_, err := l.literal("/srv/eco.json", `[{script: "worker.js", `+fields+`}]`)
		var wrong *FieldError
		if !errors.As(err, &wrong) || !strings.HasPrefix(wrong.Error(), "/srv/eco.json: "+want) {
			t.Errorf("%s:\n got %v\nwant %s", fields, err, want)
		}
	}
}

func TestAllWrongFieldsAreToldAtOnce(t *testing.T) {
	_, err := loader(t).literal("eco.json", `{apps: [{name: "a", script: "worker.js", port: "x", time: 1}, {name: "b"}, {script: 5}]}`)
	want := `eco.json: a: port must be a number, not "x"
eco.json: a: time must be true or false, not a number
eco.json: b: script is missing: it says what to run`
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

func TestScripts(t *testing.T) {
	l := loader(t)
	in := func(name string) string { return filepath.Join(l.Dir, name) }
	for _, c := range []struct {
		script, name, path, interpreter string
		args                            []string
	}{
		{"worker.js", "worker", in("worker.js"), "node", nil},
		{"./sub/inner.js", "inner", in("sub/inner.js"), "node", nil},
		{"run.sh", "run", in("run.sh"), "bash", nil},
		{"worker.py", "worker", in("worker.py"), "python3", nil},
		{"worker.ts", "worker", in("worker.ts"), "tsx", nil},
		{"tool", "tool", in("tool"), "none", nil},
		{"program", "program", in("program"), "none", nil},
		{"plain", "plain", in("plain"), "node", nil},
		{"python3", "python3", in("bin/python3"), "none", nil},
		{"my app.js", "my app", in("my app.js"), "node", nil},
		{"npm run start", "npm run start", in("bin/bash"), "none", []string{"-c", "npm run start"}},
		{"cd x && node dist/main.js a", "main", in("bin/bash"), "none", []string{"-c", "cd x && node dist/main.js a"}},
	} {
		r, err := l.Script(c.script, nil)
		if err != nil {
			t.Errorf("%s: %v", c.script, err)
			continue
		}
		a := r.Apps[0]
		if a.Name != c.name || a.Script != c.path || a.Interpreter != c.interpreter || !reflect.DeepEqual(a.Args, c.args) {
			t.Errorf("%s: %s %s %s %q", c.script, a.Name, a.Script, a.Interpreter, a.Args)
		}
	}
	for script, want := range map[string]string{
		"none.js":   "script " + in("none.js") + " doesn't exist, and no program in PATH has that name",
		"sub":       "script " + in("sub") + " is a folder without package.json and index.js: name the file in it",
		"worker.rb": "interpreter for worker.rb isn't in PATH: install ruby, or name another",
		"":          "script is missing: it says what to run",
	} {
		if _, err := l.Script(script, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
}

func TestClusterIsForNode(t *testing.T) {
	l := loader(t)
	a, notices := one(t, l, `{script: "program", instances: 4, exec_mode: "cluster"}`)
	if a.ExecMode != Fork || a.Instances != 4 || len(notices) != 1 || !strings.Contains(notices[0], "cluster is for Node") {
		t.Errorf("%s × %d, %q", a.ExecMode, a.Instances, notices)
	}
	if a, notices = one(t, l, `{script: "program", instances: 4}`); a.ExecMode != Fork || len(notices) != 1 || !strings.Contains(notices[0], "a PORT of its own") {
		t.Errorf("%s, %q", a.ExecMode, notices)
	}
}

// A file's author reads each difference from PM2 once, with the apps that it is about.
func TestDifferencesAreTold(t *testing.T) {
	l := loader(t)
	l.Program = "/opt/sidereal"
	r, err := l.literal("ecosystem.yaml", `[
		{script: worker.py, name: a}, {script: worker.js, name: b, treekill: false}, {script: worker.py, name: c, treekill: false},
		{script: run.sh, name: d}, {script: tool, name: e}, {script: program, name: f, instances: max}, {script: worker.js, name: g, instances: 2, interpreter: /usr/bin/env, exec_mode: cluster},
		{script: worker.ts, name: h, instances: 2}, {script: program, name: i, instances: 1}, {script: worker.js, name: j, instances: 3}, {script: serve, instances: 2}]`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"a, c: python3 runs it: there is no python in PATH",
		"b, c: treekill false spares its children until the daemon ends, and not longer",
		"e: runs by itself, as its first line says: PM2 gives such a script to node",
		"f: each of its processes gets a PORT of its own, and they share the public one: with PM2 all get the same PORT",
		"g: exec_mode cluster is for Node scripts: this one runs in fork mode. Each instance must listen at its own PORT, and they share the public one",
		"h: tsx runs it: there is no bun in PATH",
	}
	if !slices.Equal(r.Notices, want) {
		t.Errorf("%s", strings.Join(r.Notices, "\n"))
	}
	r, err = l.Script("tool", nil)
	if err != nil || len(r.Notices) != 0 {
		t.Errorf("a command line: %q, %v", r.Notices, err)
	}
}

func TestOptionsWinOverTheFile(t *testing.T) {
	l := loader(t)
	l.Options = map[string]any{"instances": "max", "name": "cli", "watch": true, "ignore_watch": []string{"logs"}, "kill_timeout": float64(5)}
	a, _ := one(t, l, `{script: "worker.js", name: "file", instances: 2, exec_mode: "fork"}`)
	if a.Name != "cli" || a.Instances != 0 || a.ExecMode != Fork || a.Watch[0] != l.Dir || a.IgnoreWatch[0].String() != "logs" ||
		a.KillTimeout.Millis() != 5 {
		t.Errorf("%s", asJSON(t, a))
	}
}

func TestFieldsThatTheShellSets(t *testing.T) {
	l := loader(t)
	l.Environ = append(l.Environ, "PM2_KILL_SIGNAL=SIGTERM", "PM2_KILL_TIMEOUT=5000", "PM2_GRACEFUL_LISTEN_TIMEOUT=9000")
	a, _ := one(t, l, `{script: "worker.js"}`)
	if a.StopSignal != "SIGTERM" || a.KillTimeout.Millis() != 5000 || a.ListenTimeout.Millis() != 9000 {
		t.Error(asJSON(t, a))
	}
	if a, _ = one(t, l, `{script: "worker.js", stop_signal: "SIGHUP", kill_timeout: 0}`); a.StopSignal != "SIGHUP" || a.KillTimeout != 0 {
		t.Error(asJSON(t, a))
	}
}

func TestFieldsOwnNameWinsOverAliases(t *testing.T) {
	l := loader(t)
	for _, src := range []string{
		`{exec: "run.sh", script: "worker.js", out: "a", out_file: "b"}`, `{script: "worker.js", exec: "run.sh", outFile: "b", output: "a"}`,
	} {
		a, _ := one(t, l, src)
		if filepath.Base(a.Script) != "worker.js" || filepath.Base(a.OutFile) != "b" {
			t.Errorf("%s: %s %s", src, a.Script, a.OutFile)
		}
	}
}

func TestFolderIsAScript(t *testing.T) {
	l := loader(t)
	for name, file := range map[string]string{"pkg": "package.json", "idx": "index.js"} {
		if err := os.Mkdir(filepath.Join(l.Dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(l.Dir, name, file), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, src := range []string{`{script: ./` + name + `}`, `{script: ".", cwd: ` + name + `}`} {
			a, _ := one(t, l, src)
			if a.Script != filepath.Join(l.Dir, name) || a.Interpreter != "node" || a.Name != name {
				t.Errorf("%s: %+v", src, a)
			}
		}
	}
}

func TestPythonWritesAtOnce(t *testing.T) {
	l := loader(t)
	if a, _ := one(t, l, `{script: worker.py}`); a.Env["PYTHONUNBUFFERED"] != "1" {
		t.Errorf("%q", a.Env)
	}
	if a, _ := one(t, l, `{script: worker.py, env: {PYTHONUNBUFFERED: ""}}`); a.Env["PYTHONUNBUFFERED"] != "" {
		t.Errorf("%q", a.Env)
	}
	if a, _ := one(t, l, `{script: worker.js}`); a.Env["PYTHONUNBUFFERED"] != "" {
		t.Errorf("%q", a.Env)
	}
}

func TestEnvFileIsNoStage(t *testing.T) {
	a, notices := one(t, loader(t), `{script: worker.js, env_file: .env}`)
	if len(a.Stages) != 0 || len(notices) != 1 || !strings.Contains(notices[0], "env_file isn't read") {
		t.Errorf("%v, %q", a.Stages, notices)
	}
}

// Programs that only start the app can't share a port, whatever exec_mode says.
func TestWrappersAreForked(t *testing.T) {
	l := loader(t)
	for _, name := range []string{"npm", "npx", "yarn", "pnpm", "npm-cli.js", "yarn-4.1.0.cjs", "pnpm.cjs"} {
		if err := os.WriteFile(filepath.Join(l.Dir, name), []byte("#!/usr/bin/env node\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		a, notices := one(t, l, `{script: `+name+`, args: start, instances: 2, exec_mode: cluster}`)
		if a.ExecMode != Fork || a.Instances != 2 || a.MergeLogs || len(notices) != 1 || !strings.Contains(notices[0], "reload restarts it") {
			t.Errorf("%s: %+v, %q", name, a, notices)
		}
	}
	if a, _ := one(t, l, `{script: worker.js, exec_mode: cluster}`); a.ExecMode != Cluster {
		t.Errorf("%+v", a)
	}
}
