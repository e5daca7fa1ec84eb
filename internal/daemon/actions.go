package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// act runs an Action on those of its targets that have processes. It reports the others.
func (d *Daemon) act(ctx context.Context, a Action, emit func(Event)) error {
	entries, missing, err := d.targets(a.Targets)
	if err != nil {
		return err
	}
	err = d.actOn(ctx, entries, a, emit)
	if len(missing) == 0 {
		return err
	}
	if err != nil {
		missing = append(missing, err)
	}
	return joined(missing)
}

// actOn runs an Action on processes.
func (d *Daemon) actOn(ctx context.Context, entries []*entry, a Action, emit func(Event)) error {
	if a.Env != nil {
		d.updateEnv(entries, a.Env)
	}
	switch a.Verb {
	case Stop:
		if a.Unwatch {
			d.stopWatching(entries)
		}
		return d.stop(ctx, entries, emit)
	case Restart:
		return d.restart(ctx, entries, emit)
	case Reload:
		return d.eachApp(entries, func(ap *application, mine []*entry) error {
			held, release, err := d.take(ctx, ap)
			if err != nil {
				return err
			}
			defer release()
			return explained(held, ap, d.reload(held, ap, d.stillListed(mine), a.Parallel, emit))
		})
	case Delete:
		return d.delete(ctx, entries, emit)
	case Scale:
		return d.scale(ctx, entries, a.Count, emit)
	case Reset:
		d.do(func(b *book) {
			for _, e := range entries {
				e.facts.in(b).commands = 0
			}
		})
		return d.host.Processes.Reset(places(entries)...)
	case Signal:
		sig, err := pm2.ParseSignal(a.Signal)
		if err != nil {
			return &Failure{Code: config.ExitUsage, Text: "signal " + err.Error()}
		}
		return d.host.Processes.Signal(sig, places(entries)...)
	case Send:
		return d.send(entries, a.Text)
	case Message:
		return d.sendMessage(entries, a.Message)
	case Flush, ReloadLogs:
		return eachLog(entries, a.Verb)
	}
	return &Failure{Code: config.ExitUsage, Text: fmt.Sprintf("%q is not something that can be done to processes", a.Verb)}
}

// targets returns the processes of an action, by id, and an error for each target without one. It
// fails if there is no process at all, or if a target is none.
func (r *registry) targets(texts []string) (found []*entry, missing []error, err error) {
	if len(texts) == 0 {
		return nil, nil, &Failure{Code: config.ExitUsage, Text: "no process was named"}
	}
	r.do(func(b *book) { found, missing, err = b.targets(texts) })
	switch {
	case err != nil || len(found) > 0:
		return found, missing, err
	case len(missing) > 0:
		return nil, nil, joined(missing)
	}
	return nil, nil, &Failure{Code: config.ExitFailed, Text: "there are no processes"}
}

// eachApp calls f for each app with its processes among entries.
func (d *Daemon) eachApp(entries []*entry, f func(*application, []*entry) error) error {
	byApp := map[*application][]*entry{}
	var order []*application
	for _, e := range entries {
		if byApp[e.app] == nil {
			order = append(order, e.app)
		}
		byApp[e.app] = append(byApp[e.app], e)
	}
	var errs []error
	for _, ap := range order {
		if err := f(ap, byApp[ap]); err != nil {
			errs = append(errs, err)
		}
	}
	return joined(errs)
}

func (d *Daemon) updateEnv(entries []*entry, env map[string]string) {
	d.do(func(b *book) {
		done := map[*application]bool{}
		for _, e := range entries {
			if done[e.app] {
				continue
			}
			done[e.app] = true
			merged := map[string]string{} // a new map: readers may have the old one
			f := e.app.facts.in(b)
			maps.Copy(merged, f.app.Env)
			maps.Copy(merged, env)
			f.app.Env = merged
			e.app.deployment.SetPort(wantedPort(e.app.kind, &f.app))
		}
	})
}

// stop ends processes. With an app's last process it forgets why the app couldn't be reached.
func (d *Daemon) stop(ctx context.Context, entries []*entry, emit func(Event)) error {
	w := d.watchFor(entries, down, emit)
	if err := d.host.Processes.Stop(places(entries)...); err != nil {
		return err
	}
	if err := w.wait(ctx); err != nil {
		return err
	}
	return d.eachApp(entries, func(ap *application, _ []*entry) error {
		if !d.running(ap) {
			ap.deployment.ForgetProblems()
		}
		return nil
	})
}

// restart stops processes and starts them with the present settings.
func (d *Daemon) restart(ctx context.Context, entries []*entry, emit func(Event)) error {
	specs, err := d.planned(entries)
	if err != nil {
		return err
	}
	w := d.watchFor(entries, up, emit)
	if err := d.host.Processes.Become(specs...); err != nil {
		return err
	}
	var fallen []string
	_ = d.eachApp(entries, func(ap *application, _ []*entry) error { // which never fails
		ap.deployment.ForgetProblems()
		d.rewatch(ap)
		fallen = append(fallen, d.fallen(ap)...)
		return nil
	})
	if err := d.host.Processes.Start(fallen...); err != nil {
		return err
	}
	if err := d.host.Processes.Restart(places(entries)...); err != nil {
		return err
	}
	d.commanded(entries, w.before, false)
	return w.wait(ctx)
}

// reload replaces processes of one app without a gap, and starts those that do not run. The caller
// holds the app.
func (d *Daemon) reload(ctx context.Context, ap *application, entries []*entry, parallel int, emit func(Event)) error {
	st := d.statuses()
	idle := slices.DeleteFunc(slices.Clone(entries), func(e *entry) bool { return st[e.place].PID != 0 })
	live := slices.DeleteFunc(slices.Clone(entries), func(e *entry) bool { return st[e.place].PID == 0 })
	specs, err := d.planned(live)
	if err != nil {
		return err
	}
	for i := range specs {
		if ap.kind == host.Program && st[specs[i].Name].Attrs[lifeline.Worker] == "" {
			specs[i].Single = true // it has no sign by which a successor would show that it works
		}
	}
	d.rewatch(ap)
	err = d.host.Processes.Roll(ctx, specs, parallel)
	var reload *supervisor.ReloadError
	switch {
	case errors.As(err, &reload):
		return &Failure{Code: config.ExitFailed, Text: d.reloadText(ap, reload, len(live))}
	case errors.Is(err, supervisor.ErrReloading):
		return &Failure{Code: config.ExitFailed, Text: ap.name + ": a reload is under way"}
	case err != nil:
		return err
	}
	d.commanded(live, st, true)
	for _, e := range live {
		emit(Event{Level: "info", ID: &e.id, Name: ap.name, Step: "reloaded", Text: "reloaded"})
	}
	if len(idle) > 0 {
		return d.restart(ctx, idle, emit)
	}
	return nil
}

func (d *Daemon) reloadText(ap *application, r *supervisor.ReloadError, of int) string {
	text := fmt.Sprintf("%s: reload given up: ", ap.name)
	if e := d.entryAt(r.Name); e != nil {
		text += fmt.Sprintf("the new process of id %d did not come up: ", e.id)
	}
	return text + fmt.Sprintf("%s; %d of %d had been replaced, the others serve on as they were", r.Cause, r.Done, of)
}

// delete stops processes and removes them from the list. With its last process it removes an app.
func (d *Daemon) delete(ctx context.Context, entries []*entry, emit func(Event)) error {
	return d.eachApp(entries, func(ap *application, mine []*entry) error {
		release, err := d.seize(ctx, ap)
		if err != nil {
			return err
		}
		if release != nil { // nil: another delete was faster
			left := d.stillListed(mine)
			if len(left) == len(d.entriesOf(ap)) {
				err = d.dissolve(ap)
			} else {
				err = d.forget(ap, left)
			}
			release()
		}
		if err == nil {
			for _, e := range mine {
				emit(Event{Level: "info", ID: &e.id, Name: ap.name, Step: "deleted", Text: "deleted"})
			}
			d.host.Processes.Poke() // for the bus
		}
		return err
	})
}

// scale changes the number of an app's processes.
func (d *Daemon) scale(ctx context.Context, entries []*entry, count string, emit func(Event)) error {
	ap := entries[0].app
	for _, e := range entries {
		if e.app != ap {
			return &Failure{Code: config.ExitUsage, Text: "scale takes one app: these are several"}
		}
	}
	if zero(count) {
		return d.delete(ctx, d.entriesOf(ap), emit)
	}
	held, release, err := d.take(ctx, ap)
	if err != nil {
		return err
	}
	defer release()
	have := len(d.entriesOf(ap))
	n, err := scaled(have, count)
	if err != nil {
		return err
	}
	if n == have {
		emit(Event{Level: "info", Name: ap.name, Text: fmt.Sprintf("has %d already", n)})
		return nil
	}
	d.change(ap, func(f *facts) { f.app.Instances = n })
	gone := d.entriesOf(ap)
	if err := d.resize(ap, n); err != nil {
		return err
	}
	now := d.entriesOf(ap)
	for _, e := range gone[min(n, have):] {
		emit(Event{Level: "info", ID: &e.id, Name: ap.name, Step: "deleted", Text: "deleted"})
	}
	if n > have {
		return explained(held, ap, d.launch(held, ap, now[have:], emit))
	}
	return nil
}

// zero reports whether a count is 0, which deletes an app, as in PM2.
func zero(count string) bool {
	n, err := strconv.ParseUint(count, 10, 16)
	return err == nil && n == 0
}

// scaled parses "4", "+2" or "-1".
func scaled(have int, count string) (int, error) {
	n, err := strconv.Atoi(count)
	if err == nil && strings.HasPrefix(count, "+") || strings.HasPrefix(count, "-") {
		n += have
	}
	if err != nil || n < 1 || n > 4096 {
		return 0, &Failure{Code: config.ExitUsage, Text: fmt.Sprintf("%q is not a number of processes: give 4, +2 or -1, and leave at least one, or 0 to delete the app", count)}
	}
	return n, nil
}

// eachLog empties log files, or opens them again.
func eachLog(entries []*entry, verb Verb) error {
	done := map[*logfile.File]bool{}
	var errs []error
	for _, e := range entries {
		for _, l := range e.files {
			if done[l] {
				continue
			}
			done[l] = true
			var err error
			if verb == Flush {
				err = l.Flush()
			} else {
				err = l.Reopen()
			}
			if err != nil {
				errs = append(errs, err)
			}
		}
	}
	return joined(errs)
}

// killAll stops everything, and then the daemon.
func (d *Daemon) killAll(ctx context.Context, emit func(Event)) error {
	n := 0
	d.do(func(b *book) { n = len(b.entries) })
	d.cfg.Log.Info("daemon is told to end", "processes", n)
	for _, ap := range d.allApps() {
		d.unwatch(ap)
	}
	var entries []*entry
	if n > 0 {
		var err error
		if entries, _, err = d.targets([]string{"all"}); err == nil {
			w := d.watchFor(entries, down, emit)
			if err := d.host.Processes.Stop(places(entries)...); err == nil {
				_ = w.wait(ctx) // the daemon ends in any case, and stops the rest
			}
		}
	}
	time.AfterFunc(lastAnswer, d.end) // so that the command gets its answer
	return nil
}

// lastAnswer is the time for writing the last command's answer.
const lastAnswer = 50 * time.Millisecond
