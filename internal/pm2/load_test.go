package pm2

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestIsFile(t *testing.T) {
	for name, want := range map[string]bool{
		"ecosystem.config.js": true, "pm2.config.cjs": true, "x/ecosystem.config.mjs": true, "process.json": true, "a.yml": true,
		"a.yaml": true, "ecosystem.config.json": true, "prod.json.bak": true,
		"worker.js": false, "config.js": false, "api": false, "x.json/worker.js": false, "": false,
	} {
		if got := IsFile(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func names(r *Result) (names []string) {
	for _, a := range r.Apps {
		names = append(names, a.Name)
	}
	return names
}

func TestForms(t *testing.T) {
	l := loader(t)
	l.Environ = []string{"PATH=/nowhere"} // no node: what it would do is for its own tests
	const a, b = `{"script": "tool", "name": "a", "namespace": "front"}`, `{"script": "program", "name": "b"}`
	for src, want := range map[string][]string{
		`{"apps": [` + a + `,` + b + `]}`: {"a", "b"},
		`{"pm2": [` + a + `]}`:            {"a"},
		`{"apps": ` + a + `}`:             {"a"},
		`[` + a + `,` + b + `]`:           {"a", "b"},
		a:                                 {"a"},
		`{"apps": [` + a + `], "deploy": {}, "static": []}`: {"a"},
		"/* c */ {\n// d\n\"apps\": [" + a + ",],\n}":       {"a"},
		`{"apps": [{"script": "tool", "instances": 2}]}`:    {"tool"},
	} {
		r, err := l.JSON(t.Context(), "eco.json", []byte(src))
		if err != nil {
			t.Errorf("%s: %v", src, err)
		} else if !slices.Equal(names(r), want) {
			t.Errorf("%s: %q", src, names(r))
		}
	}
	for src, want := range map[string]string{
		`[]`: "eco.json: has no apps", `{"apps": []}`: "eco.json: has no apps", `7`: "eco.json: must be apps", `"x"`: "eco.json: must be apps",
		`[7]`: "eco.json: app 1: must be an object, not a number", `{}`: "eco.json: app 1: script is missing", ``: "eco.json:1: the file ends too early",
		`{"apps": null}`: "app 1: must be an object, not null",
		"\n{apps: []}":   "eco.json:2: invalid character 'a'",
		"{'apps': []}":   "; install node to have it evaluated, or write the file as JSON or YAML",
	} {
		if _, err := l.JSON(t.Context(), "eco.json", []byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestOnlyKeepsNamesAndNamespaces(t *testing.T) {
	l := loader(t)
	src := `[{script: "worker.js", name: "a", namespace: "front"}, {script: "worker.js", name: "b", namespace: "front"}, {script: "worker.js", name: "c"}]`
	for _, c := range []struct{ only, want []string }{{[]string{"c"}, []string{"c"}}, {[]string{"front"}, []string{"a", "b"}}, {[]string{"a", "c"}, []string{"a", "c"}}} {
		l.Only = c.only
		r, err := l.literal("eco.json", src)
		if err != nil || !slices.Equal(names(r), c.want) {
			t.Errorf("%q: %v %v", c.only, r, err)
		}
	}
	l.Only = []string{"a", "nobody"}
	if _, err := l.literal("eco.json", src); err == nil || err.Error() != "eco.json: has no app nobody" {
		t.Errorf("%v", err)
	}
}

// With --only, nothing is wrong with a file whose other apps can't run here.
func TestOnlyIsAllThatMatters(t *testing.T) {
	l := loader(t)
	l.Only = []string{"ok"}
	r, err := l.literal("eco.yaml", `[{name: ok, script: worker.js}, {name: missing, script: nowhere.js}, {name: wrong, script: worker.js, instances: {}}]`)
	if err != nil || !slices.Equal(names(r), []string{"ok"}) {
		t.Fatalf("%+v, %v", r, err)
	}
	l.Only = []string{"missing"}
	if _, err := l.literal("eco.yaml", `[{name: ok, script: worker.js}, {name: missing, script: nowhere.js}]`); err == nil || !strings.Contains(err.Error(), "nowhere.js") {
		t.Errorf("%v", err)
	}
}

// An app that isn't there keeps no other from running. A wrong field does, as in PM2.
func TestMissingScriptsStopNoOtherApp(t *testing.T) {
	l := loader(t)
	r, err := l.literal("eco.yaml", `[{name: gone, script: nowhere.js}, {name: ok, script: worker.js}, {name: tool, script: worker.js, interpreter: no-such-tool}]`)
	if err != nil || !slices.Equal(names(r), []string{"ok"}) {
		t.Fatalf("%+v, %v", r, err)
	}
	if len(r.Missing) != 2 || !strings.Contains(r.Missing[0].Error(), "gone: script ") || !strings.Contains(r.Missing[1].Error(), "tool: interpreter ") {
		t.Errorf("%v", r.Missing)
	}
	for src, want := range map[string]string{
		`[{name: gone, script: nowhere.js}, {name: wrong, script: worker.js, watch: 3}]`: "wrong: watch ",
		`[{name: gone, script: nowhere.js}]`:                                             "gone: script ",
	} {
		if r, err := l.literal("eco.yaml", src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", src, r, err)
		}
	}
}

func TestNamesNeedNoScripts(t *testing.T) {
	l := loader(t)
	write(t, l, "a.json", `[{"script": "gone.js"}, {"script": "gone.rb", "name": "b"}, {"script": "x", "name": "b"}]`)
	if names, err := l.Names(t.Context(), "a.json"); err != nil || !slices.Equal(names, []string{"gone", "b"}) {
		t.Errorf("%q, %v", names, err)
	}
	if _, err := l.File(t.Context(), "a.json"); err == nil {
		t.Error("apps without scripts are taken")
	}
}

func TestStage(t *testing.T) {
	l := loader(t)
	l.Stage = "production"
	a, notices := one(t, l, `{script: "worker.js", env: {A: 1, B: 1}, env_production: {B: 2}, env_other: {B: 3}, append_env_to_name: true}`)
	if a.Env["A"] != "1" || a.Env["B"] != "2" || a.Env["SHELL_VAR"] != "shell" || a.Name != "worker-production" || len(notices) != 0 {
		t.Errorf("%v %s %q", a.Env, a.Name, notices)
	}
	if a.Stages["other"]["B"] != "3" {
		t.Errorf("stages %v", a.Stages)
	}
	_, notices = one(t, l, `{script: "worker.js", env: {A: 1}}`)
	if len(notices) != 1 || notices[0] != "worker: there is no env_production: only env is used" {
		t.Errorf("%q", notices)
	}
}

// TestDeployHasVariablesToo: for a stage, PM2 lays them over env and under env_<stage>.
func TestDeployHasVariablesToo(t *testing.T) {
	const file = `{"apps": [{"script": "worker.js", "env": {"A": "app", "B": "app"}, "env_production": {"B": "stage"}}],
		"deploy": {"production": {"user": "x", "env": {"A": "deploy", "B": "deploy", "C": 1}}, "staging": {"env": 1}}}`
	for stage, want := range map[string][3]string{"": {"app", "app", ""}, "production": {"deploy", "stage", "1"}, "staging": {"app", "app", ""}} {
		l := loader(t)
		l.Stage = stage
		r, err := l.JSON(t.Context(), "eco.json", []byte(file))
		if err != nil {
			t.Fatal(err)
		}
		env := r.Apps[0].Env
		if got := [3]string{env["A"], env["B"], env["C"]}; got != want {
			t.Errorf("%q: %q, want %q", stage, got, want)
		}
	}
}

func TestVendorFieldsAreOneNotice(t *testing.T) {
	r, err := loader(t).JSON(t.Context(), "eco.json", []byte(`{"deploy": {}, "apps": [
		{"script": "worker.js", "vizion": false, "pmx": 1, "windowsHide": true, "sourceMapSupport": false},
		{"script": "worker.js", "io": {}, "vizion": true, "unknown_field": 1},
	]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`"deploy" of the file isn't used, except its env: it isn't part of sidereal`, "not used here, and not needed: io, pmx, source_map_support, vizion, windows_hide"}
	if !slices.Equal(r.Notices, want) {
		t.Errorf("%q", r.Notices)
	}
}

// write puts a file into the loader's folder.
func write(t *testing.T, l *Loader, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(l.Dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFileForms(t *testing.T) {
	l := loader(t)
	l.Environ = []string{"PATH=/nowhere"} // no node
	write(t, l, "a.json", `{"apps": [{"script": "worker.js", "name": "j"}]}`)
	write(t, l, "a.yaml", "apps:\n- script: worker.js\n  name: y\n  env:\n    VERSION: 1.10\n    SINCE: 2024-01-02\n    ON: yes\n")
	write(t, l, "b.yml", "- &base {script: worker.js, name: y}\n- <<: *base\n  name: z\n")
	for name, want := range map[string]string{"a.json": "j", "a.yaml": "y", "b.yml": "y z"} {
		r, err := l.File(t.Context(), name)
		if err != nil || strings.Join(names(r), " ") != want {
			t.Errorf("%s: %v %v", name, r, err)
		}
	}
	r, err := l.File(t.Context(), "a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if env := r.Apps[0].Env; env["VERSION"] != "1.1" || env["SINCE"] != "2024-01-02" || env["ON"] != "yes" {
		t.Errorf("%v", env)
	}
}

func TestUnreadableFiles(t *testing.T) {
	l := loader(t)
	l.Environ = []string{"PATH=/nowhere"}
	if _, err := l.File(t.Context(), "none.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	write(t, l, "large.json", strings.Repeat(" ", maxFile+1))
	write(t, l, "broken.json", "{\n\n  \"apps\": [1,,2]\n}")
	write(t, l, "broken.yaml", "apps:\n  - a: 1\n :b")
	write(t, l, "empty.yaml", "# nothing\n")
	write(t, l, "bomb.yaml", bomb())
	write(t, l, "a.config.js", "module.exports = {}")
	for name, want := range map[string]string{
		"large.json": "is larger than 8 MB", "broken.json": "broken.json:3: ", "broken.yaml": "broken.yaml:",
		"empty.yaml": "the file is empty", "bomb.yaml": "too deep or too large",
		"a.config.js": "a.config.js: is JavaScript, and there is no node in PATH; install node to have it evaluated, or write the file as JSON or YAML",
	} {
		_, err := l.File(t.Context(), name)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bomb is a few lines of YAML that are a billion values.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for _, c := range "123456789" {
		p := string(c - 1)
		b.WriteString("a" + string(c) + ": &a" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*a"+p+", ", 10), ", ") + "]\n")
	}
	return b.String()
}
