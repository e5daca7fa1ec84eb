package processview

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sidereal-io/sidereal/internal/daemon"
	"github.com/sidereal-io/sidereal/internal/pm2"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// running is a daemon with an app of two workers and a stopped script.
func running(t *testing.T) daemon.Listing {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"version": "1.2.3"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	api, job := pm2.Default(), pm2.Default()
	api.Name, api.Script, api.Cwd, api.ExecMode, api.Instances = "api", filepath.Join(dir, "sub", "worker.js"), dir, pm2.Cluster, 2
	api.Env = map[string]string{"USER": "ann", "TOKEN": "a<b"}
	api.MaxMemoryRestart = 300 << 20
	job.UID = "www"
	job.Name, job.Script, job.Cwd, job.Interpreter, job.Watch = "job", "/opt/job", "/opt", "none", []string{"/opt"}
	code := 3
	return daemon.Listing{
		Apps: map[string]daemon.AppStatus{
			"api": {App: api, Doors: []string{"0.0.0.0:8080"}, Redis: "embedded"},
			"job": {App: job, Problems: []string{"port 80 is taken"}},
		},
		Processes: []daemon.Process{
			{ID: 0, Name: "api", Namespace: "default", App: "api", Mode: pm2.Cluster, Status: daemon.Online, PID: 4711, UniqueID: "u0",
				Created: now.Add(-time.Hour), Started: now.Add(-90 * time.Second), Restarts: 2, Unstable: 1, CPU: 12.5, Memory: 25_900_000,
				OutFile: "/l/api-out-0.log", ErrorFile: "/l/api-error-0.log", PIDFile: "/p/api-0.pid", Worker: "a1B2"},
			{ID: 1, Name: "api", Namespace: "default", App: "api", Instance: 1, Mode: pm2.Cluster, Status: daemon.Launching, PID: 4712, Started: now},
			{ID: 2, Name: "job", Namespace: "night", App: "job", Mode: pm2.Fork, Status: daemon.Errored, Reason: "ended 16 times", ExitCode: &code},
		},
	}
}

func TestListLooksLikeATable(t *testing.T) {
	var b bytes.Buffer
	if err := List(Screen{Writer: &b}, running(t), now); err != nil {
		t.Fatal(err)
	}
	want := `┌────┬──────┬───────────┬─────────┬─────────┬──────┬────────┬───┬───────────┬───────┬────────┬──────┬──────────┐
│ id │ name │ namespace │ version │ mode    │ pid  │ uptime │ ↺ │ status    │ cpu   │ mem    │ user │ watching │
├────┼──────┼───────────┼─────────┼─────────┼──────┼────────┼───┼───────────┼───────┼────────┼──────┼──────────┤
│ 0  │ api  │ default   │ 1.2.3   │ cluster │ 4711 │ 1m     │ 2 │ online    │ 12.5% │ 24.7mb │ ann  │ disabled │
│ 1  │ api  │ default   │ 1.2.3   │ cluster │ 4712 │ 0s     │ 0 │ launching │ 0%    │ 0b     │ ann  │ disabled │
│ 2  │ job  │ night     │ N/A     │ fork    │ 0    │ 0      │ 0 │ errored   │ 0%    │ 0b     │ www  │ enabled  │
└────┴──────┴───────────┴─────────┴─────────┴──────┴────────┴───┴───────────┴───────┴────────┴──────┴──────────┘
 api on :8080, this host only: no Redis is set
 job: port 80 is taken
 job (2): ended 16 times
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestListFitsTheTerminal(t *testing.T) {
	l := running(t)
	l.Processes[0].Name = "a-name-that-is-much-too-long-for-any-terminal"
	for width := 200; width >= 50; width-- {
		var b bytes.Buffer
		if err := List(Screen{Writer: &b, Width: width}, l, now); err != nil {
			t.Fatal(err)
		}
		table, _, _ := strings.Cut(b.String(), "\n api")
		for line := range strings.Lines(table) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Fatalf("width %d: a line has %d characters: %s", width, n, line)
			}
		}
		if !strings.Contains(table, "status") || !strings.Contains(table, "name") {
			t.Fatalf("width %d: status or name is gone:\n%s", width, table)
		}
	}
}

func TestColorsOnlyWhereThereAreSome(t *testing.T) {
	l := running(t)
	l.Processes[0].Name = "evil\x1b[2J\nname\u009b"
	for _, color := range []bool{false, true} {
		var b bytes.Buffer
		s := Screen{Writer: &b, Color: color}
		if err := List(s, l, now); err != nil {
			t.Fatal(err)
		}
		if err := Describe(s, &l.Processes[0], &daemon.AppStatus{App: l.Apps["api"].App}, nil, now); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "\x1b"); got != color {
			t.Errorf("color %v: escapes %v", color, got)
		}
		if strings.Contains(b.String(), "\x1b[2J") || strings.Contains(b.String(), "\u009b") {
			t.Error("a name moves the cursor")
		}
	}
}

func TestEmptyListIsATable(t *testing.T) {
	var b bytes.Buffer
	if err := List(Screen{Writer: &b, Width: 80}, daemon.Listing{}, now); err != nil || strings.Count(b.String(), "\n") != 4 {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// The keys are those of PM2's jlist that scripts parse.
func TestJListHasPM2sKeys(t *testing.T) {
	var b bytes.Buffer
	if err := JList(&b, running(t)); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), "\n") != 1 {
		t.Error("more than one line")
	}
	var got []map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	first := got[0]
	want := map[string]any{"pid": 4711.0, "name": "api", "pm_id": 0.0, "monit": map[string]any{"memory": 25_900_000.0, "cpu": 12.5}}
	for key, v := range want {
		if !reflect.DeepEqual(first[key], v) {
			t.Errorf("%s is %v", key, first[key])
		}
	}
	env := first["pm2_env"].(map[string]any)
	for key, v := range map[string]any{
		"status": "online", "pm_id": 0.0, "name": "api", "namespace": "default", "exec_mode": "cluster_mode", "exec_interpreter": "node",
		"instances": 2.0, "restart_time": 2.0, "unstable_restarts": 1.0, "pm_uptime": float64(now.Add(-90 * time.Second).UnixMilli()),
		"created_at": float64(now.Add(-time.Hour).UnixMilli()), "pm_out_log_path": "/l/api-out-0.log", "pm_err_log_path": "/l/api-error-0.log",
		"pm_pid_path": "/p/api-0.pid", "unique_id": "u0", "autorestart": true, "autostart": true, "watch": false, "merge_logs": true, "treekill": true,
		"kill_timeout": 1600.0, "kill_retry_time": 100.0, "NODE_APP_INSTANCE": 0.0, "instance_var": "NODE_APP_INSTANCE", "username": "ann",
		"version": "1.2.3", "max_memory_restart": float64(300 << 20), "TOKEN": "a<b", "node_args": []any{}, "vizion": false,
		"axm_monitor": map[string]any{}, "axm_actions": []any{},
	} {
		if got, ok := env[key]; !ok || !reflect.DeepEqual(got, v) {
			t.Errorf("pm2_env.%s is %v, want %v", key, got, v)
		}
	}
	if own := env["env"].(map[string]any); own["NODE_APP_INSTANCE"] != "0" || own["pm_id"] != "0" || own["TOKEN"] != "a<b" {
		t.Errorf("pm2_env.env is %v", own)
	}
	for _, key := range []string{"args", "exit_code"} { // as long as there are none
		if v, ok := env[key]; ok {
			t.Errorf("pm2_env.%s is %v", key, v)
		}
	}
	if got[2]["pm2_env"].(map[string]any)["exit_code"] != 3.0 {
		t.Error("the exit code is missing")
	}
	b.Reset()
	if err := JList(&b, daemon.Listing{}); err != nil || b.String() != "[]\n" {
		t.Errorf("none: %q", b.String())
	}
}

// The version of an app whose script is a folder is that of the folder, and each process has its own
// value of increment_var.
func TestJListOfAFolder(t *testing.T) {
	l := running(t)
	api := l.Apps["api"]
	api.App.Script, api.App.IncrementVar = api.App.Cwd, "NUMBER"
	l.Apps["api"] = api
	var b bytes.Buffer
	if err := JList(&b, l); err != nil {
		t.Fatal(err)
	}
	var got []record
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0, 1} {
		if env := got[i].Env; env["version"] != "1.2.3" || env["NUMBER"] != want || env["env"].(map[string]any)["NUMBER"] != strconv.Itoa(i) {
			t.Errorf("%d: version %v, NUMBER %v", i, env["version"], env["NUMBER"])
		}
	}
}

// Scripts read from jlist what is watched, as the file says it.
func TestJListSaysWhatIsWatched(t *testing.T) {
	glob, err := pm2.Glob("logs/*")
	if err != nil {
		t.Fatal(err)
	}
	a := pm2.Default()
	a.Cwd = "/srv/app"
	for _, c := range []struct {
		change func()
		want   map[string]any
	}{
		{func() {}, map[string]any{"watch": false, "ignore_watch": nil, "watch_delay": nil, "time": nil}},
		{func() { a.Watch = []string{"/srv/app"} }, map[string]any{"watch": true}},
		{func() { a.Watch = []string{"/srv/app/src", "/etc/app"} }, map[string]any{"watch": []any{"src", "/etc/app"}}},
		{func() { a.IgnoreWatch, a.WatchDelay = []pm2.Pattern{glob}, pm2.Duration(time.Second) }, map[string]any{"ignore_watch": []any{"logs/*"}, "watch_delay": 1000.0}},
		{func() { a.LogDateFormat = pm2.TimeFormat }, map[string]any{"time": true}},
	} {
		c.change()
		var b bytes.Buffer
		if err := JList(&b, daemon.Listing{Processes: []daemon.Process{{App: "a"}}, Apps: map[string]daemon.AppStatus{"a": {App: a}}}); err != nil {
			t.Fatal(err)
		}
		var got []struct {
			Env map[string]any `json:"pm2_env"`
		}
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for key, want := range c.want {
			if !reflect.DeepEqual(got[0].Env[key], want) {
				t.Errorf("%s is %v, want %v", key, got[0].Env[key], want)
			}
		}
	}
}

func TestDescribe(t *testing.T) {
	l := running(t)
	api := l.Apps["api"]
	var b bytes.Buffer
	if err := Describe(Screen{Writer: &b, Width: 70}, &l.Processes[0], &api, map[string]string{"USER": "ann"}, now); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Process 0: api", "│ status", "online", "cluster_mode", "worker.js", "a1B2", "300.0mb", "on :8080", "TOKEN", "1m"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "│ USER") {
		t.Error("a variable of the shell is shown")
	}
}

func TestTargets(t *testing.T) {
	l := running(t)
	l.Processes[2].Name = "1"
	if got := Targets(l); !slices.Equal(got, []string{"0", "1", "2", "all", "api", "default", "night"}) {
		t.Errorf("%q", got)
	}
}

func TestSort(t *testing.T) {
	l := running(t)
	for by, want := range map[string]int{"id": 0, "id:desc": 2, "name:desc": 2, "cpu": 1, "cpu:desc": 0, "memory:desc": 0, "uptime": 1, "namespace:desc": 2} {
		if err := Sort(&l, "id"); err != nil {
			t.Fatal(err)
		}
		if err := Sort(&l, by); err != nil || l.Processes[0].ID != want {
			t.Errorf("%s: %d, %v", by, l.Processes[0].ID, err)
		}
	}
	for _, by := range []string{"", "size", "id:up"} {
		if err := Sort(&l, by); err == nil || !strings.Contains(err.Error(), "memory") {
			t.Errorf("%q: %v", by, err)
		}
	}
}

func TestLogs(t *testing.T) {
	lines := []daemon.LogLine{
		{ID: 0, Name: "api", Stream: "out", Text: "old", File: "/l/api-out-0.log"},
		{ID: 0, Name: "api", Stream: "out", Text: "older still", File: "/l/api-out-0.log"},
		{ID: 12, Name: "api", Stream: "err", Text: "new", Time: now, Dropped: 3},
		{ID: -1, Name: "sidereal", Stream: "err", Text: "own", Time: now},
	}
	for want, v := range map[string]Logs{
		"/l/api-out-0.log, its last lines:\n0|api | old\n0|api | older still\n12|api | 3 lines came too fast to be shown: they are in the file\n12|api | new\nsidereal | own\n": {},
		"old\nolder still\nnew\nown\n": {Raw: true},
		`{"message":"old","type":"out","process_id":0,"app_name":"api"}
{"message":"older still","type":"out","process_id":0,"app_name":"api"}
{"message":"new","timestamp":"2026-01-02T03:04:05.000Z","type":"err","process_id":12,"app_name":"api"}
{"message":"own","timestamp":"2026-01-02T03:04:05.000Z","type":"err","process_id":-1,"app_name":"sidereal"}
`: {JSON: true},
		"app=api id=0 type=out message=old\napp=api id=0 type=out message=older still\ntimestamp=2026-01 app=api id=12 type=error message=new\n" +
			"timestamp=2026-01 app=sidereal type=error message=own\n": {Pairs: true, Timestamp: "YYYY-MM"},
	} {
		var b bytes.Buffer
		v.Screen = Screen{Writer: &b}
		for _, l := range lines {
			if err := v.Line(l); err != nil {
				t.Fatal(err)
			}
		}
		if b.String() != want {
			t.Errorf("got\n%s\nwant\n%s", b.String(), want)
		}
	}
	var b bytes.Buffer
	v := Logs{Screen: Screen{Writer: &b, Color: true}, Timestamp: "YYYY", Highlight: "ne"}
	if err := v.Line(lines[2]); err != nil || !strings.Contains(b.String(), "2026") || !strings.Contains(b.String(), "\x1b[7mne\x1b[27mw") {
		t.Errorf("%q", b.String())
	}
}

func TestProgress(t *testing.T) {
	id := 3
	events := []daemon.Event{
		{Level: "info", Text: "online", Name: "api", ID: &id}, {Level: "warn", Text: "SIDEREAL_PATH differs"}, {Level: "error", Text: "ended", Name: "api"},
	}
	var out, errs bytes.Buffer
	p := Progress{Out: Screen{Writer: &out}, Err: Screen{Writer: &errs}}
	for _, e := range events {
		p.Happened(e)
	}
	if out.String() != "api (3) online\n" || errs.String() != "SIDEREAL_PATH differs\napi ended\n" {
		t.Errorf("%q %q", out.String(), errs.String())
	}
	out.Reset()
	p.Silent = true
	p.Happened(events[0])
	if out.Len() > 0 {
		t.Error("it is not silent")
	}
}

func TestUnits(t *testing.T) {
	for n, want := range map[int64]string{0: "0b", 1023: "1023b", 1024: "1.0kb", 25_900_000: "24.7mb", 3 << 30: "3.0gb", 4 << 40: "4096.0gb"} {
		if got := size(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for d, want := range map[time.Duration]string{-1: "0s", 59 * time.Second: "59s", time.Hour - 1: "59m", 26 * time.Hour: "1D", 5 * time.Hour: "5h"} {
		if got := span(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
