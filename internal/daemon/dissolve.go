package daemon

import (
	"slices"
)

// forget stops processes and removes them from the list. It continues after the command has left,
// because a stop has a time limit. The caller holds the app.
func (d *Daemon) forget(ap *application, entries []*entry) error {
	if err := ap.deployment.Drop(places(entries)); err != nil {
		return err
	}
	d.unlist(ap, entries)
	return nil
}

// unlist removes processes without a place from the list.
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
			d.logs.set.Release(l)
		}
		d.pids.remove(e, &a.app)
	}
}

// dissolve stops an app and its services, and removes it. The caller holds the app.
func (d *Daemon) dissolve(ap *application) error {
	d.change(ap, func(f *facts) { f.gone = true }) // from now on it gets no watch
	d.unwatch(ap)
	if err := ap.deployment.Remove(); err != nil {
		return err
	}
	d.unlist(ap, d.entriesOf(ap))
	d.do(func(b *book) {
		if b.apps[ap.key] == ap {
			delete(b.apps, ap.key)
		}
	})
	d.host.Processes.Poke() // wakes commands that wait for its processes
	return nil
}
