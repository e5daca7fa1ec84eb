package daemon

import (
	"slices"
	"testing"
)

// Apps of merely forked Node processes share one nodehost, which comes with the first and goes with
// the last.
func TestForkedAppsShareANodehost(t *testing.T) {
	r := runDaemon(t)
	one, two := interpreted(t, app(t, "one", "node"), "node"), interpreted(t, app(t, "two", "node"), "node")
	r.must(r.start(StartNew, one, two))
	hosts := func() (pids []int) {
		l := r.list()
		for _, s := range l.Services {
			pids = append(pids, s.PID)
		}
		for name, a := range l.Apps {
			if len(a.Services) > 0 {
				t.Errorf("%s has services of its own: %+v", name, a.Services)
			}
		}
		return pids
	}
	before := hosts()
	if len(before) != 1 || before[0] == 0 {
		t.Fatalf("nodehosts %v", before)
	}
	r.must(r.act(Action{Verb: Delete, Targets: []string{"one"}}))
	r.must(r.act(Action{Verb: Restart, Targets: []string{"two"}}))
	if now := hosts(); !slices.Equal(now, before) {
		t.Errorf("nodehosts %v, before %v", now, before)
	}
	r.must(r.act(Action{Verb: Delete, Targets: []string{"two"}}))
	if now := hosts(); len(now) != 0 {
		t.Errorf("nodehosts %v are left", now)
	}
	r.must(r.start(StartNew, one))
	if now := hosts(); len(now) != 1 {
		t.Errorf("nodehosts %v", now)
	}
}
