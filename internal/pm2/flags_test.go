package pm2

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestFlagsSayWhatFilesSay(t *testing.T) {
	for line, want := range map[string]map[string]any{
		"": {},
		"-n api -i max -o o.log -e e.log -p a.pid": {"name": "api", "instances": "max", "out_file": "o.log", "error_file": "e.log", "pid_file": "a.pid"},
		"-i -1 --no-autorestart --time":            {"instances": "-1", "autorestart": false, "time": true},
		"--watch":                                  {"watch": true},
		"app.js --watch src":                       {"watch": []string{"src"}},
		"app.js --watch --time":                    {"watch": true, "time": true},
		"--watch app.js":                           {"watch": true},
		"app.js -l":                                {"log_file": true},
		"app.js -l both.log":                       {"log_file": "both.log"},
		"app.js --filter-env AWS":                  {"filter_env": "AWS"},
		"app.js --filter-env":                      {"filter_env": true},
		"app.js --stop-exit-codes 0 143 other.js":  {"stop_exit_codes": "0 143"},
		"--cron-restart=@daily --no-vizion app.js": {"cron_restart": "@daily"},
		"--node-args --inspect app.js":             {"node_args": "--inspect"},
	} {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		f := AddFlags(set)
		AddAccepted(set)
		if err := set.Parse(Rearrange(strings.Fields(line), set)); err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := f.Options(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}

func TestEveryFlagIsAField(t *testing.T) {
	for _, f := range startFlags {
		if fieldByName[f.field] == nil {
			t.Errorf("--%s sets %s, which is no field", f.name, f.field)
		}
	}
}

func TestAcceptedFlagsLeaveACommandItsOwn(t *testing.T) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	force := set.Bool("force", false, "")
	set.BoolP("only", "a", false, "")
	AddAccepted(set)
	if err := set.Parse(strings.Fields("--force --update-env -m --ext js,ts -u me --watch")); err != nil || !*force {
		t.Errorf("%v, %v", err, *force)
	}
}

// A date's format may stand behind --timestamp, as in PM2, also where an app's name could.
func TestTimestampTakesItsFormat(t *testing.T) {
	for line, want := range map[string]string{
		"--timestamp HH:mm:ss":     "--timestamp=HH:mm:ss",
		"--timestamp api":          "--timestamp api",
		"api --timestamp HH:mm":    "--timestamp=HH:mm api",
		"--timestamp DD.MM. api":   "--timestamp=DD.MM. api",
		"api --timestamp --raw":    "--timestamp --raw api",
		"--timestamp session-mmss": "--timestamp session-mmss",
	} {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		set.String("timestamp", "", "")
		set.Bool("raw", false, "")
		set.Lookup("timestamp").NoOptDefVal = "YYYY"
		if got := Rearrange(strings.Fields(line), set); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: %q, want %s", line, got, want)
		}
	}
}

func TestRearrangeKeepsArguments(t *testing.T) {
	for line, want := range map[string]string{
		"api -2":                     "-- api -2",
		"api +2":                     "api +2",
		"a.js -- -p 80 --watch":      "a.js -- -p 80 --watch",
		"- -i 2":                     "--instances=2 -",
		"api -2 --time -- -x":        "--time -- api -2 -- -x",
		"a.js --unknown":             "--unknown a.js",
		"a.js -i":                    "-i a.js",
		"a.js --stop-exit-codes":     "--stop-exit-codes a.js",
		"a.js b.js --name=x --watch": "--name=x --watch a.js b.js",
	} {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		AddFlags(set)
		if got := Rearrange(strings.Fields(line), set); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: %q, want %s", line, got, want)
		}
	}
}

func TestChange(t *testing.T) {
	l := loader(t)
	a, _ := one(t, l, `{script: "worker.js", max_restarts: 3}`)
	l.Options = map[string]any{"max_memory_restart": "1G", "watch": true}
	got, err := l.Change(a)
	if err != nil || got.MaxMemoryRestart != 1<<30 || got.Watch[0] != l.Dir || got.MaxRestarts != 3 || a.Watch != nil {
		t.Errorf("%s, %v", asJSON(t, got), err)
	}
	l.Options = map[string]any{"max_restarts": "x"}
	if _, err := l.Change(a); err == nil || err.Error() != `max_restarts must be a number, not "x"` {
		t.Error(err)
	}
}
