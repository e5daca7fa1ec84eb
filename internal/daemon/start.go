package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/pm2"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// start carries a Start out.
func (d *Daemon) start(ctx context.Context, req Start, emit func(Event)) error {
	for i := range req.Apps {
		if err := req.Apps[i].Validate(); err != nil {
			return &Failure{Code: config.ExitUsage, Text: err.Error()}
		}
	}
	d.compareSettings(req.Settings, emit)
	var todo []func() error
	var errs []error
	taken := map[*application]bool{} // a file may have several apps of one name
	for i, a := range req.Apps {
		of := ""
		if i < len(req.Of) {
			of = req.Of[i]
		}
		do, err := d.startApp(ctx, a, of, req, taken, emit)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		todo = append(todo, do)
	}
	return joined(append(errs, atOnce(todo)...))
}

// atOnce does things side by side, so that an app that does not come up keeps no other from it. It
// returns what went wrong, in their order.
func atOnce(todo []func() error) (errs []error) {
	results := make([]error, len(todo))
	var all sync.WaitGroup
	for i, do := range todo {
		all.Go(func() { results[i] = do() })
	}
	all.Wait()
	for _, err := range results {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// compareSettings names what this daemon was started with otherwise.
func (d *Daemon) compareSettings(theirs map[string]string, emit func(Event)) {
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		if ours, ok := d.cfg.Shown[name]; ok && ours != theirs[name] {
			emit(Event{Level: "warn", Text: fmt.Sprintf("the running daemon has %s=%s, not %s: `sidereal kill` and start again to change it", name, ours, theirs[name])})
		}
	}
}

// startApp puts an app that is new into the list, or finds the one that is known, and returns what
// then brings it to where the mode wants it. Of is the key of the app that is known, if the command
// says it. It adds the app to taken.
func (d *Daemon) startApp(ctx context.Context, a pm2.App, of string, req Start, taken map[*application]bool, emit func(Event)) (func() error, error) {
	known := d.known(&a, taken)
	if of != "" {
		if known = d.appOf(of); known == nil {
			return nil, &Failure{Code: config.ExitFailed, Text: of + ": has been deleted meanwhile"}
		}
	}
	if known != nil && req.Mode == StartNew && d.see(known).app.Script != a.Script {
		known = nil // the same name for another script is another app, as in PM2
	}
	if known != nil {
		taken[known] = true
	}
	switch {
	case known != nil && d.see(known).gone:
		return nil, &Failure{Code: config.ExitFailed, Text: a.Name + ": is being deleted: try again"}
	case req.Mode == StartForce || known == nil:
		ap, do, err := d.create(ctx, a, nil, a.Autostart, emit)
		taken[ap] = true
		return do, err
	case req.Mode == StartNew && d.running(known):
		return nil, &Failure{Code: config.ExitFailed, Text: fmt.Sprintf("%s: is running already: `sidereal restart %s`, or start it once more with -f", a.Name, a.Name)}
	case req.Mode == StartNew:
		return func() error { return d.renew(ctx, known, a, StartRestart, 0, emit) }, nil
	}
	return func() error { return d.renew(ctx, known, a, req.Mode, req.Parallel, emit) }, nil
}

// running reports whether a process of an app runs, or is about to.
func (d *Daemon) running(ap *application) bool {
	st := d.statuses()
	for _, e := range d.entriesOf(ap) {
		switch st[e.place].State {
		case supervisor.Stopped, supervisor.Errored, "":
		default:
			return true
		}
	}
	return false
}

// heir is what a process of a new app inherits from one that it replaces.
type heir struct{ id, restarts int }

// create puts a new app and its processes into the list, and returns what starts it. The first of
// the processes are heirs, if there are some.
func (d *Daemon) create(ctx context.Context, a pm2.App, heirs []heir, start bool, emit func(Event)) (*application, func() error, error) {
	held, interrupt := context.WithCancelCause(ctx)
	h := newHold(interrupt)
	ap, err := d.enlist(a, heirs, h)
	if err != nil {
		interrupt(nil)
		return nil, nil, err
	}
	return ap, func() error {
		defer d.release(ap, h)
		for _, w := range ap.warnings {
			emit(Event{Level: "warn", Name: a.Name, Text: w})
		}
		err := ap.deployment.Open(held, func(n host.Notice) {
			level := "info"
			if n.Warning {
				level = "warn"
			}
			emit(Event{Level: level, Name: a.Name, Text: n.Text})
		})
		if err == nil {
			err = held.Err()
		}
		if err == nil {
			err = d.addPlaces(ap, d.entriesOf(ap))
		}
		if err != nil {
			return explained(held, ap, errors.Join(err, d.dissolve(ap)))
		}
		if !start {
			emit(Event{Level: "info", Name: a.Name, Step: "stopped", Text: "is in the list, and not started"})
			return nil
		}
		return explained(held, ap, d.launch(held, ap, d.entriesOf(ap), emit))
	}, nil
}

// enlist gives a new app its key, and its processes their ids. It belongs to the command that h is
// of.
func (d *Daemon) enlist(a pm2.App, heirs []heir, h *hold) (*application, error) {
	base := a.Name
	if a.Namespace != "" && a.Namespace != "default" {
		base = a.Namespace + "." + a.Name
	}
	for i := 1; ; {
		key := base
		for {
			if i > 1 {
				key = fmt.Sprintf("%s.%d", base, i)
			}
			taken := false
			d.do(func(b *book) { taken = b.apps[key] != nil })
			if !taken {
				break
			}
			i++
		}
		ap, err := resolve(a, key) // which reads the program
		if err != nil {
			return nil, err
		}
		done := false
		d.do(func(b *book) {
			if done = b.apps[key] == nil; !done {
				return // another command was faster
			}
			b.apps[key] = ap
			ap.deployment = d.host.Deploy(ap.host, host.Options{User: ap.user})
			ap.facts.in(b).hold = h
			for i := range a.Count(supervisor.Cores()) {
				if i < len(heirs) && b.entries[heirs[i].id] == nil {
					e := d.newEntry(b, ap, heirs[i].id)
					e.facts.in(b).commands = heirs[i].restarts
					continue
				}
				d.newEntry(b, ap, b.nextID)
			}
		})
		if done {
			return ap, nil
		}
		if d.ended() {
			return nil, supervisor.ErrStopping
		}
	}
}

// launch starts processes that are in the list and waits until they are up.
func (d *Daemon) launch(ctx context.Context, ap *application, entries []*entry, emit func(Event)) error {
	ap.deployment.ForgetProblems()
	w := d.watchFor(entries, up, emit)
	w.anyWill = true // another command may have started it
	if err := d.host.Processes.Start(append(d.fallen(ap), places(entries)...)...); err != nil {
		return err
	}
	d.rewatch(ap)
	return w.wait(ctx)
}

// fallen are those that an app stands on and that were given up: a command is reason to try them
// again.
func (d *Daemon) fallen(ap *application) (names []string) {
	st := d.statuses()
	for _, name := range ap.deployment.Support() {
		if st[name].State == supervisor.Errored {
			names = append(names, name)
		}
	}
	return names
}

func places(entries []*entry) (names []string) {
	for _, e := range entries {
		names = append(names, e.place)
	}
	return names
}

// joined makes one failure of several; nil of none.
func joined(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	f := &Failure{Code: config.ExitUsage}
	var texts []string
	for _, err := range errs {
		texts = append(texts, err.Error())
		if doneOf(err).Code != config.ExitUsage {
			f.Code = config.ExitFailed
		}
	}
	f.Text = strings.Join(texts, "\n")
	return f
}
