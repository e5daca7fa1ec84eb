package daemon

import (
	"context"
	"errors"
	"slices"

	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// forget stops processes and takes them out of the list.
func (d *Daemon) forget(ctx context.Context, ap *application, entries []*entry) error {
	err := d.sup.Remove(ctx, places(entries)...)
	if err != nil && !errors.Is(err, supervisor.ErrNoPlace) { // which another command has removed
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range entries {
		if d.entries[e.id] != e {
			continue
		}
		delete(d.entries, e.id)
		delete(d.byPlace, e.place)
		for _, l := range e.files {
			d.logs.release(l)
		}
		removeFile(d.pidFile(e))
	}
	ap.entries = slices.DeleteFunc(ap.entries, func(e *entry) bool { return slices.Contains(entries, e) })
	if len(d.entries) == 0 {
		d.nextID = 0 // as PM2 does
	}
	return nil
}

// dissolve stops an app, and everything around it, and forgets it.
func (d *Daemon) dissolve(ctx context.Context, ap *application) error {
	d.unwatch(ap)
	entries := d.entriesOf(ap)
	st := d.statuses()
	names := places(entries)
	for _, service := range d.servicesOf(ap) {
		if _, ok := st[service]; ok {
			names = append(names, service)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { _, ok := st[name]; return !ok })
	if err := d.sup.Remove(ctx, names...); err != nil && !errors.Is(err, supervisor.ErrNoPlace) {
		return err
	}
	if err := d.forget(ctx, ap, entries); err != nil {
		return err
	}
	d.mu.Lock()
	if d.apps[ap.key] == ap {
		delete(d.apps, ap.key)
	}
	d.mu.Unlock()
	d.closeApp(ap)
	return nil
}

// closeApp lets go of what an app had beside its processes.
func (d *Daemon) closeApp(ap *application) {
	d.unwatch(ap)
	var errs []error
	if ap.backend != nil {
		errs = append(errs, ap.backend.close())
	}
	if ap.shared {
		errs = append(errs, d.leaveForks(ap))
	} else if ap.dir != nil {
		errs = append(errs, ap.dir.Close())
	}
	if err := errors.Join(errs...); err != nil {
		d.cfg.Log.Warn().Str("app", ap.app.Name).Err(err).Msg("app closed")
	}
}
