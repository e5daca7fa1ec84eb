package daemon

import (
	"context"
	"errors"
	"slices"

	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// forget stops processes and takes them out of the list. It goes on when the command has gone: a
// stop has a time limit. The caller holds the app.
func (d *Daemon) forget(ap *application, entries []*entry) error {
	err := d.sup.Remove(context.Background(), d.atPlaces(places(entries))...)
	if err != nil && !errors.Is(err, supervisor.ErrNoPlace) {
		return err
	}
	d.unlist(ap, entries)
	return nil
}

// unlist takes processes out of the list that have no place.
func (d *Daemon) unlist(ap *application, entries []*entry) {
	var gone []*entry
	var a seen
	d.do(func(b *book) {
		for _, e := range entries {
			if b.entries[e.id] != e {
				continue
			}
			gone = append(gone, e)
			delete(b.entries, e.id)
			delete(b.byPlace, e.place)
		}
		f := ap.facts.in(b)
		f.entries = slices.DeleteFunc(slices.Clone(f.entries), func(e *entry) bool { return slices.Contains(entries, e) })
		if len(b.entries) == 0 {
			b.nextID = 0 // as PM2 does
		}
		a = ap.seenIn(b)
	})
	for _, e := range gone {
		for _, l := range e.files {
			d.logs.release(l)
		}
		d.noPIDFile(e, removeFile(d.pidFile(e, &a.app)))
	}
}

// atPlaces are those of the names that the supervisor has a place of.
func (d *Daemon) atPlaces(names []string) []string {
	st := d.statuses()
	return slices.DeleteFunc(names, func(name string) bool { _, ok := st[name]; return !ok })
}

// dissolve stops an app, and everything around it, and forgets it. The caller holds the app.
func (d *Daemon) dissolve(ap *application) error {
	d.change(ap, func(f *facts) { f.gone = true }) // from here on it gets no watch and no door
	d.unwatch(ap)
	d.doorway.Lock() // until here
	entries, services := d.entriesOf(ap), d.see(ap).services()
	d.doorway.Unlock()
	err := d.sup.Remove(context.Background(), d.atPlaces(append(places(entries), services...))...)
	if err != nil && !errors.Is(err, supervisor.ErrNoPlace) {
		return err
	}
	d.unlist(ap, entries)
	d.do(func(b *book) {
		if b.apps[ap.key] == ap {
			delete(b.apps, ap.key)
		}
	})
	d.closeApp(ap)
	d.sup.Poke() // who waits for its processes looks again
	return nil
}

// closeApp lets go of what an app had beside its processes.
func (d *Daemon) closeApp(ap *application) {
	d.change(ap, func(f *facts) { f.gone = true })
	d.unwatch(ap)
	now := d.see(ap)
	var errs []error
	if now.backend != nil {
		errs = append(errs, now.backend.close())
	}
	if ap.shared() {
		errs = append(errs, d.leaveForks(ap))
	} else if now.dir != nil {
		errs = append(errs, now.dir.Close())
	}
	if err := errors.Join(errs...); err != nil {
		d.cfg.Log.Warn().Str("app", ap.name).Err(err).Msg("app closed")
	}
}
