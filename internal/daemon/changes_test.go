package daemon

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// TestChangesAreThoseOfPM2 tells from two looks what the bus tells scripts.
func TestChangesAreThoseOfPM2(t *testing.T) {
	begun := time.Unix(1000, 0)
	p := func(pid int, status Status, change ...func(*lookedAt)) []lookedAt {
		l := lookedAt{Process: Process{ID: 1, Name: "api", PID: pid, Status: status, Created: begun}}
		for _, c := range change {
			c(&l)
		}
		return []lookedAt{l}
	}
	restarted := func(l *lookedAt) { l.Created = begun.Add(time.Second) }
	reloaded := func(l *lookedAt) { l.Created, l.ReloadedAt = begun.Add(time.Second), begun.Add(time.Second) }
	planned := func(l *lookedAt) { l.end = &supervisor.Exit{Planned: true} }
	unplanned := func(l *lookedAt) { l.end = &supervisor.Exit{Code: 3} }
	for name, c := range map[string]struct {
		looks [][]lookedAt // the first is what is there
		want  string
	}{
		"nothing":               {[][]lookedAt{p(7, Online), p(7, Online)}, ""},
		"a start":               {[][]lookedAt{{}, p(7, Launching), p(7, Online)}, "online,start!"},
		"a start in one look":   {[][]lookedAt{{}, p(7, Online)}, "online,start!"},
		"a crash":               {[][]lookedAt{p(7, Online), p(0, Waiting, unplanned), p(8, Launching), p(8, Online)}, "exit,online"},
		"a crash in one look":   {[][]lookedAt{p(7, Online), p(8, Online, unplanned)}, "exit,online"},
		"a crash loop's end":    {[][]lookedAt{p(7, Online), p(0, Errored, unplanned)}, "exit,restart overlimit"},
		"a restart":             {[][]lookedAt{p(7, Online), p(7, Stopping, restarted), p(8, Launching, restarted, planned), p(8, Online, restarted, planned)}, "exit,online,restart!"},
		"a restart in one look": {[][]lookedAt{p(7, Online), p(8, Online, restarted)}, "exit,online,restart!"},
		"a reload":              {[][]lookedAt{p(7, Online), p(8, Online), p(8, Online, reloaded)}, "exit,online,reload!"},
		"a stop":                {[][]lookedAt{p(7, Online), p(7, Stopping), p(0, Stopped, planned)}, "exit,stop!"},
		"an end as wanted":      {[][]lookedAt{p(7, Online), p(0, Stopped, unplanned)}, "exit"},
		"a delete":              {[][]lookedAt{p(7, Online), {}}, "exit,delete!"},
		"a delete of a stopped": {[][]lookedAt{p(0, Stopped), {}}, "delete!"},
	} {
		var seen changes
		var got []string
		for i, look := range c.looks {
			if i == 0 && look == nil {
				look = []lookedAt{}
			}
			for _, e := range seen.look(look) {
				change := e.Change
				if e.Manual {
					change += "!"
				}
				got = append(got, change)
				if e.Process.ID != 1 || e.Process.Name != "api" {
					t.Errorf("%s: %+v", name, e.Process)
				}
			}
		}
		if text := strings.Join(got, ","); text != c.want {
			t.Errorf("%s: %q, not %q", name, text, c.want)
		}
	}
}

// TestBusDropsForSlowScripts bounds what waits for a script that doesn't read.
func TestBusDropsForSlowScripts(t *testing.T) {
	b := bus{all: map[*rider]bool{}}
	r, err := b.add()
	if err != nil {
		t.Fatal(err)
	}
	for range maxBusEvents + 3 {
		b.publish(BusEvent{Event: "process:msg"})
	}
	take := func() BusEvent {
		e := <-r.items
		r.taken(e.weight())
		return e
	}
	for len(r.items) > 0 {
		if e := take(); e.Dropped != 0 {
			t.Fatalf("%d dropped before any was", e.Dropped)
		}
	}
	b.publish(BusEvent{Event: "process:msg"})
	if e := take(); e.Dropped != 3 {
		t.Errorf("%d dropped, not 3", e.Dropped)
	}
	large := BusEvent{Event: "process:msg", Message: slices.Repeat([]byte{'1'}, maxBusBytes)}
	b.publish(large)
	b.publish(large)
	if take(); r.waiting.Load() != 0 || len(r.items) != 0 {
		t.Errorf("%d bytes and %d events wait", r.waiting.Load(), len(r.items))
	}
	for range maxRiders - 1 {
		if _, err := b.add(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.add(); err == nil {
		t.Error("any number of scripts may follow")
	}
	b.remove(r)
	if _, err := b.add(); err != nil {
		t.Error(err)
	}
}
