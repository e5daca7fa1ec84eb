package daemon

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/pm2"
)

// saved writes a list as save does, but as it is told.
func saved(t *testing.T, path string, version int, apps ...pm2.App) {
	t.Helper()
	list := dump{Version: version}
	for _, a := range apps {
		list.Apps = append(list.Apps, dumpedApp{App: a, Instances: 1})
	}
	raw, err := json.Marshal(list)
	if err == nil {
		err = os.WriteFile(path, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (r *running) resurrect() ([]Event, error) {
	r.t.Helper()
	return r.collect(func(ctx context.Context, happened func(Event)) error { return r.Resurrect(ctx, happened) })
}

// TestListsThatCannotBeRead: in place of a list that is damaged, or from a later version, resurrect
// starts the one before it, and says so. Without one it says which file is wrong.
func TestListsThatCannotBeRead(t *testing.T) {
	r := runDaemon(t)
	list := r.home.Dump()
	if _, err := r.resurrect(); err == nil || !strings.Contains(err.Error(), "no list was saved") {
		t.Errorf("without a list: %v", err)
	}
	damages := map[string]func(){
		"damaged":       func() { writeFile(t, list, `{"version":1,"apps":[{"app"`) },
		"empty":         func() { writeFile(t, list, "") },
		"later version": func() { saved(t, list, dumpVersion+1) },
		"a folder": func() {
			if err := os.Mkdir(list, 0o700); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, damage := range damages {
		for _, path := range []string{list, list + ".bak"} {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
		damage()
		if _, err := r.resurrect(); err == nil || !strings.Contains(err.Error(), list) {
			t.Errorf("%s, and nothing before it: %v", name, err)
		}
		saved(t, list+".bak", dumpVersion, app(t, name, "worker"))
		events := r.must(r.resurrect())
		if len(events) == 0 || events[0].Level != "warn" || !strings.Contains(events[0].Text, "the one before it is used") {
			t.Errorf("%s: %+v", name, events)
		}
		if _, err := r.act(Action{Verb: Delete, Targets: []string{name}}); err != nil {
			t.Errorf("%s isn't there: %v", name, err)
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOneBadAppOfAList keeps no other from being started.
func TestOneBadAppOfAList(t *testing.T) {
	r := runDaemon(t)
	bad := app(t, "bad", "worker")
	bad.Script = ""
	lost := app(t, "lost", "worker")
	lost.Cwd = filepath.Join(t.TempDir(), "gone")
	saved(t, r.home.Dump(), dumpVersion, bad, lost, app(t, "good", "worker"))
	events, err := r.resurrect()
	if err == nil {
		t.Errorf("nobody hears of the bad one: %+v", events)
	}
	if _, err := r.act(Action{Verb: Restart, Targets: []string{"good"}}); err != nil {
		t.Errorf("the good one isn't there: %v", err)
	}
}

// TestListThatCannotBeWritten stays as it was.
func TestListThatCannotBeWritten(t *testing.T) {
	for name, obstruct := range map[string]string{"the new one": ".new", "the one before": ".bak"} {
		path := filepath.Join(t.TempDir(), "dump.json")
		writeFile(t, path, "as it was")
		writeFileIn(t, path+obstruct) // a folder that isn't empty
		if err := replace(path, []byte("another")); err == nil {
			t.Errorf("%s: no error", name)
		}
		if raw, err := os.ReadFile(path); err != nil || string(raw) != "as it was" {
			t.Errorf("%s: %q, %v", name, raw, err)
		}
	}
}

func writeFileIn(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "file"), "")
}
