package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// patience is the number of ends in a row that a command waits through, and patientFor the time
// it waits for the next start. The daemon continues to try.
const (
	patience   = 3
	patientFor = 2 * time.Second
)

// goal is the state of each process that a command waits for.
type goal int

const (
	up   goal = iota // a new process is ready
	down             // none runs
)

// waiting follows processes until they have reached a command's goal.
type waiting struct {
	d       *Daemon
	goal    goal
	emit    func(Event)
	entries []*entry
	before  map[string]supervisor.Status
	settled map[*entry]bool
	begun   map[*entry]int // reported starts
	failed  []string
	anyWill bool // with the goal up: an earlier process counts too
}

// watchFor stores the state of processes before a command changes them.
func (d *Daemon) watchFor(entries []*entry, g goal, emit func(Event)) *waiting {
	return &waiting{d: d, goal: g, emit: emit, entries: entries, before: d.statuses(), settled: map[*entry]bool{}, begun: map[*entry]int{}}
}

// wait returns when all processes have reached the goal, or the reason why some can't.
func (w *waiting) wait(ctx context.Context) error {
	err := w.d.host.Processes.Wait(ctx, func(st []supervisor.Status) bool {
		now := host.ByName(st)
		for _, e := range w.entries {
			if agent := now[e.app.host.NodeHostPlace()]; !w.settled[e] && w.goal == up && agent.State == supervisor.Errored {
				w.fail(e, "its nodehost does not start: "+agent.Reason)
			} else if !w.settled[e] {
				w.look(e, now[e.place])
			}
		}
		return len(w.settled) == len(w.entries) && w.reachable(now)
	})
	if err != nil {
		return err
	}
	w.problems()
	w.warnings()
	if len(w.failed) > 0 {
		return &Failure{Code: config.ExitFailed, Text: strings.Join(w.failed, "\n")}
	}
	w.adapters()
	return nil
}

// adapters says which apps got our adapter, a line each.
func (w *waiting) adapters() {
	if w.goal != up {
		return
	}
	now := w.d.statuses()
	said := map[*application]bool{}
	for _, e := range w.entries {
		if adapters(now[e.place]) > 0 && !said[e.app] {
			said[e.app] = true
			w.emit(Event{Level: "info", Name: e.app.name, Step: "adapter", Text: "sets no Socket.IO adapter and got Sidereal's: its processes share rooms"})
		}
	}
}

// look reports a process's changes, and settles it once its outcome is known.
func (w *waiting) look(e *entry, st supervisor.Status) {
	before := w.before[e.place]
	if st.Name == "" { // removed meanwhile
		w.settle(e, "info", "deleted", "deleted")
		return
	}
	if w.goal == down {
		switch {
		case st.Starts > before.Starts, st.PID == 0 && st.State == supervisor.Waiting: // for its nodehost, maybe for long
			w.settle(e, "warn", "stopped", "stopped, and started again by another command")
		case st.PID == 0:
			w.settle(e, "info", "stopped", "stopped")
		}
		return
	}
	fresh := st.Starts > before.Starts
	if fresh && st.PID != 0 && w.begun[e] != st.Starts {
		w.begun[e] = st.Starts
		w.say(e, "info", "launched", fmt.Sprintf("launched, pid %d", st.PID))
	}
	switch {
	case (fresh || w.anyWill) && st.State == supervisor.Ready:
		w.settle(e, "info", "online", "online")
	case !fresh && st.State == supervisor.Stopped && st.PID == 0:
		w.settle(e, "warn", "stopped", "stopped by another command")
	case fresh && st.Restarts > before.Restarts && st.Last != nil && st.Last.Code == 0 && !st.Last.Planned:
		w.lookAtJob(e, st)
	case st.State == supervisor.Errored:
		w.fail(e, st.Reason)
	case fresh && st.State == supervisor.Stopped && st.Last != nil && st.Last.Code != 0 && !st.Last.Planned && !slices.Contains(w.d.see(e.app).app.StopExitCodes, st.Last.Code):
		w.fail(e, "ended: "+st.Last.Cause)
	case fresh && st.State == supervisor.Stopped:
		w.settle(e, "info", "stopped", "has run, and ended")
	case fresh && st.State == supervisor.Waiting && st.Last != nil && time.Until(st.Again) > patientFor:
		w.fail(e, fmt.Sprintf("ended: %s; it is started again in %s", st.Last.Cause, time.Until(st.Again).Round(time.Second)))
	case fresh && st.Restarts >= before.Restarts+patience && st.Last != nil:
		w.fail(e, "keeps ending: "+st.Last.Cause)
	}
}

// lookAtJob settles a process that ends with 0 and is started again: that is no failure, because it
// has done what it had to.
func (w *waiting) lookAtJob(e *entry, st supervisor.Status) {
	switch again := time.Until(st.Again); {
	case st.State == supervisor.Stopped:
		w.settle(e, "info", "stopped", "has run, and ended")
	case st.State == supervisor.Errored, st.Restarts >= w.before[e.place].Restarts+patience:
		w.settle(e, "warn", "ended", "keeps ending with 0: autorestart: false, or --no-autorestart, runs it once")
	case st.State == supervisor.Waiting && again > patientFor:
		w.settle(e, "info", "ended", fmt.Sprintf("has run, and is started again in %s", again.Round(time.Second)))
	}
}

// reachable reports whether the apps' services are up, as far as they are known to be needed.
func (w *waiting) reachable(now map[string]supervisor.Status) bool {
	if w.goal == down || len(w.failed) > 0 {
		return true
	}
	apps := w.apps()
	for _, e := range w.entries {
		if apps[e.app].gone {
			continue
		}
		ap := e.app
		state := ap.deployment.State()
		doors, problems := len(state.Doors), len(state.Problems)
		if !ap.deployment.APISettled(now) {
			return false
		}
		st := now[e.place]
		needs := ap.kind.Routed() && st.State == supervisor.Ready && st.Attrs[lifeline.Worker] != ""
		if problems > 0 || !needs && doors == 0 {
			continue
		}
		if st.Attrs[supervisor.ReadyBy] == "listening" && doors == 0 {
			continue // at a port of its own choice, or a path
		}
		if router := now[ap.host.RouterPlace()]; router.State != supervisor.Ready && router.State != supervisor.Errored {
			return false
		}
	}
	return true
}

// apps returns the present state of the processes' apps.
func (w *waiting) apps() map[*application]seen {
	apps := map[*application]seen{}
	w.d.do(func(b *book) {
		for _, e := range w.entries {
			if _, ok := apps[e.app]; !ok {
				apps[e.app] = e.app.seenIn(b)
			}
		}
	})
	return apps
}

// problems adds the reasons why apps can't be reached.
func (w *waiting) problems() {
	if w.goal == down {
		return
	}
	now := w.d.statuses()
	seen := map[*application]bool{}
	for _, e := range w.entries {
		if seen[e.app] {
			continue
		}
		seen[e.app] = true
		w.failed = append(w.failed, e.app.deployment.State().Problems...)
		for _, name := range e.app.deployment.Support() {
			if st := now[name]; st.State == supervisor.Errored {
				w.failed = append(w.failed, fmt.Sprintf("%s: %s: see the daemon's log", name, st.Reason))
			}
		}
	}
}

// warnings says where apps aren't served that clients reach elsewhere.
func (w *waiting) warnings() {
	if w.goal == down {
		return
	}
	for _, ap := range w.apps() {
		for _, warning := range ap.deployment.State().Warnings {
			w.emit(Event{Level: "warn", Name: ap.app.Name, Step: "address", Text: strings.TrimPrefix(warning, ap.app.Name+": ")})
		}
	}
}

func (w *waiting) say(e *entry, level, step, text string) {
	w.emit(Event{Level: level, ID: &e.id, Name: e.app.name, Step: step, Text: text})
}

func (w *waiting) settle(e *entry, level, step, text string) {
	w.settled[e] = true
	w.say(e, level, step, text)
}

func (w *waiting) fail(e *entry, why string) {
	w.settle(e, "error", "failed", why)
	w.failed = append(w.failed, fmt.Sprintf("%s (id %d): %s", e.app.name, e.id, why))
}

// statuses returns the supervisor's places by name.
func (d *Daemon) statuses() map[string]supervisor.Status { return d.host.Statuses() }

// commanded counts restarts by command, or because files have changed. The start of a process that
// didn't run is no restart, as in PM2.
func (d *Daemon) commanded(entries []*entry, before map[string]supervisor.Status, reloaded bool) {
	d.do(func(b *book) {
		for _, e := range entries {
			f := e.facts.in(b)
			if st := before[e.place]; st.PID != 0 {
				f.commands++
			} else {
				f.commands -= unfollowed(st)
			}
			f.created = time.Now()
			if reloaded {
				f.reloaded = f.created
			}
		}
	})
	d.host.Processes.Poke() // for the bus
}

// unfollowed returns 1 if the last of a place's unplanned ends has no restart behind it, else 0.
func unfollowed(st supervisor.Status) int {
	if st.PID == 0 && st.Restarts > 0 && st.Last != nil && !st.Last.Planned {
		return 1
	}
	return 0
}
