//go:build e2e && linux

package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestMain lets this program be the servers that a fleet starts.
func TestMain(m *testing.M) {
	if role(os.Args[1:]) {
		return
	}
	testkit.Main(m)
}

// TestHostsDoTheSameWork runs a small round of `make bench-hosts`: no message is lost, each number
// of hosts does the same work, and clients are where the report says.
func TestHostsDoTheSameWork(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{self: self, sidereal: harness.Binary(), dir: t.TempDir(), running: map[string]*system{}}
	defer f.close()
	o, err := parseHosts([]string{"-hosts", "1,2", "-rounds", "1", "-little", "-o", filepath.Join(t.TempDir(), "hosts.md")})
	if err != nil {
		t.Fatal(err)
	}
	g, err := grow(t.Context(), f, o)
	if err != nil {
		t.Fatalf("%v\n%v", err, g.failed)
	}
	units := map[cell]int{
		{"echo-each", entryHome, 2}: 150, {"echo-each", entryHome, 1}: 75, {"echo-paced", entryRandom, 2}: 600, {"echo", entryHome, 1}: 6000,
		{"room-each", entryOne, 2}: 5000, {"room", entryHome, 2}: 5000,
	}
	for _, w := range works {
		for _, at := range []cell{{w.name, entryHome, 1}, {w.name, entryHome, 2}, {w.name, entryRandom, 2}, {w.name, entryOne, 2}} {
			if len(g.samples[at]) != 1 {
				t.Errorf("%v: %d samples", at, len(g.samples[at]))
				continue
			}
			m := g.samples[at][0]
			if want, known := units[at]; m.lost > 0 || known && m.units != want || m.value <= 0 || m.parts["worker"] <= 0 {
				t.Errorf("%v: lost %d, %d units instead of %d, %v", at, m.lost, m.units, want, m.parts)
			}
			for _, share := range g.relayed[at] {
				if home := at.entry == entryHome; home && share != 0 || !home && (share < 0.2 || share > 0.8) {
					t.Errorf("%v: %.2f of the clients are relayed", at, share)
				}
			}
		}
	}
}

// TestStormOfADyingHost: the clients of a host that dies come back, and those of the other hosts
// notice nothing.
func TestStormOfADyingHost(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{self: self, sidereal: harness.Binary(), dir: t.TempDir(), running: map[string]*system{}}
	defer f.close()
	r, err := f.storm(t.Context(), stormOptions{hosts: 2, clients: 60})
	if err != nil {
		t.Fatal(err)
	}
	if r.victims < 30 || len(r.back) != r.victims || r.dropped > 0 || len(r.refused) > 0 || r.unanswered > 0 || len(r.echoes) == 0 {
		t.Errorf("of %d clients %d came back, %v refused, %d others were dropped, %d echoes are unanswered", r.victims, len(r.back), r.refused, r.dropped, r.unanswered)
	}
}
