//go:build linux

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGrowthReport gives two rounds of known figures, in the second of which the machine was busy.
func TestGrowthReport(t *testing.T) {
	folder := t.TempDir()
	g := newGrowth(hostsOptions{counts: []int{1, 2, 8}, rounds: 2, adapter: "redis", out: filepath.Join(folder, "hosts.md"), charts: filepath.Join(folder, "charts.json")})
	g.rounds, g.failed = 2, []string{"round 2, 8 hosts: out of luck"}
	for _, busy := range []float64{1, 3} {
		for _, w := range works {
			for _, e := range entries {
				for _, n := range g.o.counts {
					at := cell{w.name, e.key, n}
					if n == 1 && e.key != entryHome {
						continue
					}
					g.samples[at] = append(g.samples[at], sample{value: busy * float64(10+n), parts: map[string]float64{"router": 1, "worker": busy * float64(n)}, units: 100})
					g.relayed[at] = append(g.relayed[at], 0.5)
				}
			}
		}
	}
	if err := g.write(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(g.o.out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| Echo in a closed loop over 200 sockets in all | **1.50** (1.50–1.50) | **1.50** (1.50–1.50) | **1.50** (1.50–1.50) |", // 18 ÷ 12 in both
		"| 8 | at random | 50 % | **36.0** (18.0–54.0) | 1.00 | 16.0 |", "out of luck", "2 of 2 rounds",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the report has no %q:\n%s", want, text)
		}
	}
	var charts []chart
	text, err = os.ReadFile(g.o.charts)
	if err == nil {
		err = json.Unmarshal(text, &charts)
	}
	if err != nil || len(charts) != len(works) {
		t.Fatalf("%d charts, %v", len(charts), err)
	}
	for _, c := range charts {
		for _, l := range c.Lines {
			if len(l.X) != 3 || len(l.Y) != 3 { // with one host, all entries are the same
				t.Errorf("%s, %s: %v, %v", c.File, l.Name, l.X, l.Y)
			}
		}
	}
}

func TestHomesAreEven(t *testing.T) {
	for _, e := range entries {
		r := e.routes(&system{entries: make([]string, 8)})
		count := map[int]int{}
		for i := range 200 {
			count[r.home(i)]++
			if door := r.door(i); door < 0 || door > 7 || e.key == entryHome && door != r.home(i) || e.key == entryOne && door != 0 {
				t.Errorf("%s: client %d of host %d enters at %d", e.title, i, r.home(i), door)
			}
		}
		for h, n := range count {
			if n != 25 {
				t.Errorf("%s: %d of 200 clients on host %d", e.title, n, h)
			}
		}
	}
}
