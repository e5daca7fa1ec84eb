package daemon

import (
	"testing"

	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// A stop is over when its process has ended, also when another command has started it again and it
// waits for its nodehost.
func TestStopIsOverWhenTheProcessHasEnded(t *testing.T) {
	before := supervisor.Status{Name: "api-0", State: supervisor.Ready, PID: 7, Starts: 1}
	for _, c := range []struct {
		now   supervisor.Status
		level string // of the event; empty: it waits on
	}{
		{supervisor.Status{Name: "api-0", State: supervisor.Stopping, PID: 7, Starts: 1}, ""},
		{supervisor.Status{Name: "api-0", State: supervisor.Stopped, Starts: 1}, "info"},
		{supervisor.Status{Name: "api-0", State: supervisor.Errored, Starts: 1}, "info"},
		{supervisor.Status{Name: "api-0", State: supervisor.Waiting, Starts: 1}, "warn"},
		{supervisor.Status{Name: "api-0", State: supervisor.Ready, PID: 8, Starts: 2}, "warn"},
		{supervisor.Status{}, "info"},
	} {
		e, level := &entry{app: &application{name: "api"}, place: "api-0"}, ""
		w := &waiting{
			goal: down, emit: func(v Event) { level = v.Level }, before: map[string]supervisor.Status{"api-0": before},
			settled: map[*entry]bool{},
		}
		if w.look(e, c.now); level != c.level || w.settled[e] != (c.level != "") {
			t.Errorf("%+v: told %q, want %q", c.now, level, c.level)
		}
	}
}
