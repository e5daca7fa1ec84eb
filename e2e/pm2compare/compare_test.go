//go:build e2e && linux

// Package pm2compare runs process files under PM2 and under Sidereal, and compares all that their
// users see: processes, what the processes see, logs, jlist and exit codes. Each difference must be
// a row of docs/from-pm2.md.
package pm2compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// stage is a case under one manager, in a folder of its own.
type stage struct {
	m           *manager
	parent, dir string // dir is the app's, in parent
	name        string
	env         []string
	quiet       bool                    // the processes have no log files
	starts      map[string]map[int]bool // the processes that have written to each log file
}

// set copies the case and the scripts that all cases share into a folder.
func set(t *testing.T, m *manager, name string, env []string) *stage {
	t.Helper()
	parent := t.TempDir()
	dir := filepath.Join(parent, "app")
	for _, from := range []string{"testdata/scripts", filepath.Join("testdata/cases", name)} {
		if err := copyInto(dir, from); err != nil {
			t.Fatal(err)
		}
	}
	return &stage{m: m, parent: parent, dir: dir, name: name, env: append([]string{"CASE=" + name}, env...), starts: map[string]map[int]bool{}}
}

func copyInto(dir, from string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if to := filepath.Join(dir, rel); entry.IsDir() {
			return os.MkdirAll(to, 0o755)
		} else if raw, err := os.ReadFile(path); err != nil {
			return err
		} else {
			return os.WriteFile(to, raw, 0o755)
		}
	})
}

// processFile returns the name of the case's process file.
func (s *stage) processFile(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"ecosystem*", "*.config.*", "process.json", "pm2.*"} {
		found, err := filepath.Glob(filepath.Join(s.dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			return filepath.Base(found[0])
		}
	}
	t.Fatalf("%s has no process file", s.name)
	return ""
}

// records returns those processes of a list that belong to this case, by name and id.
func (s *stage) records(list []record) []record {
	all := slices.DeleteFunc(list, func(r record) bool {
		cwd, _ := r.Env["pm_cwd"].(string)
		path, _ := r.Env["pm_exec_path"].(string)
		return r.Env["CASE"] != s.name && !strings.HasPrefix(cwd, s.dir) && !strings.HasPrefix(path, s.dir)
	})
	slices.SortStableFunc(all, func(a, b record) int {
		if a.Name != b.Name {
			return strings.Compare(a.Name, b.Name)
		}
		return a.ID - b.ID
	})
	return all
}

// report returns what a process has reported of itself; nil if it hasn't.
func (s *stage) report(t *testing.T, pid int) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, "reports", strconv.Itoa(pid)))
	if err != nil {
		return nil
	}
	var r map[string]any
	if err := json.Unmarshal(raw, &r); err != nil {
		t.Fatalf("%s: %v\n%s", s.m.name, err, raw)
	}
	return r
}

// rest waits until each process has come to where it stays, and until holds for them. It returns
// them as users see them.
func (s *stage) rest(t *testing.T, what string, until func([]record) bool) (list []record) {
	t.Helper()
	rests := func() bool { return s.settled(t, list) && (until == nil || until(list)) }
	tries := 0
	testkit.Until(t, s.m.name+" after "+what, func() bool {
		if tries++; tries%10 != 1 && !rests() {
			return false // files are cheaper to look at than processes
		}
		if list = s.records(s.m.look(t)); !rests() {
			return false
		}
		list = s.records(s.m.list(t))
		return rests()
	})
	return list
}

// settled reports whether each process has come to where it stays.
func (s *stage) settled(t *testing.T, list []record) bool {
	for i := range list {
		switch r := &list[i]; r.status() {
		case "online":
			if s.report(t, r.PID) == nil || !s.quiet && !s.said(r) {
				return false
			}
		case "stopped", "errored":
		default:
			return false
		}
	}
	return true
}

// said reports whether the lines that scripts write at their start are in the log files, for each
// process that was seen.
func (s *stage) said(r *record) bool {
	for _, said := range []struct{ file, line string }{
		{"pm_out_log_path", "hello"}, {"pm_err_log_path", "trouble"}, {"pm_log_path", "hello"}, {"pm_log_path", "trouble"},
	} {
		path, _ := r.Env[said.file].(string)
		if path == "" || path == os.DevNull {
			continue
		}
		if s.starts[path] == nil {
			s.starts[path] = map[int]bool{}
		}
		s.starts[path][r.PID] = true
		if raw, err := os.ReadFile(path); err != nil || strings.Count(string(raw), said.line) < len(s.starts[path]) {
			return false
		}
	}
	return true
}

// act runs a step and returns what is to be seen then.
func (s *stage) act(t *testing.T, st step) map[string]any {
	t.Helper()
	args := slices.Clone(st.args)
	for i, a := range args {
		if a == "FILE" {
			args[i] = s.processFile(t)
		}
	}
	out, code := s.m.run(t, s.dir, s.env, args...)
	list := s.rest(t, fmt.Sprint(args, ": ", out), st.until)
	seen := map[string]any{"failed": code != 0, "processes": len(list)}
	for i := range list {
		seen[fmt.Sprintf("%d %s", i, list[i].Name)] = s.view(t, list, i)
	}
	var tree map[string]any
	if err := json.Unmarshal(s.neutral([]byte(text(seen))), &tree); err != nil {
		t.Fatal(err)
	}
	if t.Failed() || testing.Verbose() && os.Getenv("PM2COMPARE_OUTPUT") != "" {
		t.Logf("%s %v: %d\n%s", s.m.name, args, code, out)
	}
	return tree
}

// neutral replaces the folders, which differ by nature, in JSON.
func (s *stage) neutral(text []byte) []byte {
	return []byte(strings.NewReplacer(s.dir, "<dir>", s.parent, "<parent>", filepath.Dir(s.parent), "<above>", s.m.own, "<own>", s.m.home, "<home>").Replace(string(text)))
}

// unlike has fields that differ from one start to the next.
var unlike = []string{"pm_id", "pm_uptime", "created_at", "unique_id", "status", "env", "CASE", "PM2_HOME", "pm2_home",
	"axm_actions", "axm_monitor", "axm_options", "axm_dynamic", "versioning", "vizion_running"}

// view returns a process as its users see it.
func (s *stage) view(t *testing.T, list []record, i int) map[string]any {
	t.Helper()
	r := &list[i]
	fields := maps.Clone(r.Env)
	for _, name := range unlike {
		delete(fields, name)
	}
	for name := range fields {
		if strings.HasPrefix(name, "SIDEREAL_") {
			delete(fields, name)
		}
	}
	logs := map[string]any{}
	for _, name := range []string{"pm_out_log_path", "pm_err_log_path", "pm_log_path"} {
		path, _ := r.Env[name].(string)
		if raw, err := os.ReadFile(path); err == nil && len(raw) > 0 && path != os.DevNull {
			text := loggedID.ReplaceAllString(string(raw), "${1}9") // the order of the cases decides
			lines := strings.SplitAfter(digits.ReplaceAllString(text, "9"), "\n")
			slices.Sort(lines) // two streams, or processes, may share the file
			logs[name] = strings.Join(lines, "")
		}
	}
	for _, name := range []string{"pm_out_log_path", "pm_err_log_path", "pm_log_path", "pm_pid_path"} {
		if path, ok := fields[name].(string); ok {
			fields[name] = ranked(path, list)
		}
	}
	if r.status() != "errored" {
		delete(fields, "unstable_restarts") // depends on how long the last process ran
	}
	view := map[string]any{"status": r.status(), "jlist": fields, "logs": logs}
	if inner, ok := r.Env["env"].(map[string]any); ok {
		view["env of jlist"] = variables(inner)
	}
	if report := s.report(t, r.PID); report != nil && r.status() == "online" {
		if env, ok := report["env"].(map[string]any); ok {
			report["env"] = variables(env)
		}
		view["report"] = report
	}
	return view
}

var (
	digits   = regexp.MustCompile(`[0-9]`)
	loggedID = regexp.MustCompile(`("process_id":)[0-9]+`)
)

// ranked replaces the id of a process in a file name by its place in the case.
func ranked(path string, list []record) string {
	for i := range list {
		for _, extension := range []string{".log", ".pid"} {
			if head, ok := strings.CutSuffix(path, fmt.Sprintf("-%d%s", list[i].ID, extension)); ok {
				return fmt.Sprintf("%s-<%d>%s", head, i, extension)
			}
		}
	}
	return path
}

// variables returns the variables of an environment that are the user's and not the manager's.
func variables(env map[string]any) map[string]any {
	kept := map[string]any{}
	for name, v := range env {
		switch {
		case strings.HasPrefix(name, "SIDEREAL_"), strings.HasPrefix(name, "PM2_"), name == "CASE", name == "_":
		case name == strings.ToUpper(name), slices.Contains([]string{"name", "namespace", "pm_cwd", "pm_exec_path"}, name):
			kept[name] = v
		}
	}
	return kept
}

// differences returns the paths at which two trees differ, with both values.
func differences(path string, a, b any) (list []string) {
	am, aok := a.(map[string]any)
	bm, bok := b.(map[string]any)
	if !aok || !bok {
		if !reflect.DeepEqual(a, b) && !sameVariable(a, b) {
			list = append(list, fmt.Sprintf("%s: %s with PM2, %s with Sidereal", path, text(a), text(b)))
		}
		return list
	}
	keys := map[string]bool{}
	for k := range am {
		keys[k] = true
	}
	for k := range bm {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		av, ain := am[k]
		bv, bin := bm[k]
		switch {
		case !ain:
			list = append(list, fmt.Sprintf("%s/%s: nothing with PM2, %s with Sidereal", path, k, text(bv)))
		case !bin:
			list = append(list, fmt.Sprintf("%s/%s: %s with PM2, nothing with Sidereal", path, k, text(av)))
		default:
			list = append(list, differences(path+"/"+k, av, bv)...)
		}
	}
	return list
}

// sameVariable reports whether b is a number or true or false as text, as variables are.
func sameVariable(a, b any) bool {
	written, ok := b.(string)
	switch a.(type) {
	case float64, bool:
		return ok && written == text(a)
	}
	return false
}

func text(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// TestProcessFiles runs each case under both.
func TestProcessFiles(t *testing.T) {
	pm2, sidereal := startPM2(t), startSidereal(t)
	folders, err := os.ReadDir("testdata/cases")
	if err != nil {
		t.Fatal(err)
	}
	var differ atomic.Int32
	t.Run("cases", func(t *testing.T) {
		for _, f := range folders {
			name := f.Name()
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if compare(t, pm2, sidereal, name, scenarios[name]) {
					differ.Add(1)
				}
			})
		}
	})
	t.Logf("%d cases: %d of them differ as docs/from-pm2.md says", len(folders), differ.Load())
}

// TestRowsExist: the page has each row that a difference cites.
func TestRowsExist(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(harness.Root(), "docs", "from-pm2.md"))
	if err != nil {
		t.Fatal(err)
	}
	cited := slices.Clone(everywhere)
	for _, sc := range scenarios {
		cited = append(cited, sc.differs...)
	}
	for _, lines := range sessions {
		for _, l := range lines {
			cited = append(cited, difference{row: l.row})
		}
	}
	for _, d := range cited {
		if !strings.Contains(string(raw), "\n"+d.row) {
			t.Errorf("docs/from-pm2.md has no row %s", d.row)
		}
	}
	for name := range scenarios {
		if _, err := os.Stat(filepath.Join("testdata", "cases", name)); err != nil {
			t.Errorf("no process file for %s: %v", name, err)
		}
	}
}

// compare runs one case under both managers, step by step. It reports whether it
// differs in more than all cases do.
func compare(t *testing.T, pm2, sidereal *manager, name string, sc scenario) (differs bool) {
	t.Helper()
	a, b := set(t, pm2, name, sc.env), set(t, sidereal, name, sc.env)
	a.quiet, b.quiet = sc.quiet, sc.quiet
	if !sc.alone {
		b.env = append(b.env, "SIDEREAL_ADDR="+harness.Loopback(t)) // else two cases would want 8080
	}
	defer func() {
		for _, s := range []*stage{a, b} {
			if list := s.records(s.m.look(t)); len(list) > 0 {
				s.m.remove(t, list)
			}
		}
	}()
	steps := sc.steps
	if steps == nil {
		steps = []step{{args: []string{"start", "FILE"}}}
	}
	for _, st := range steps {
		for _, d := range differences("", a.act(t, st), b.act(t, st)) {
			switch {
			case documented(d, sc.differs):
				differs = true
			case !documented(d, everywhere):
				t.Errorf("after %v: %s", st.args, d)
			}
		}
	}
	return differs
}
