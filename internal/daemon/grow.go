package daemon

import (
	"crypto/rand"
	"fmt"
	"time"
)

// grow adds processes to an app until it has n. They are not started.
func (d *Daemon) grow(ap *application, n int) error {
	var fresh []*entry
	d.do(func(b *book) {
		for f := ap.facts.in(b); len(f.entries) < n; {
			fresh = append(fresh, d.newEntry(b, ap, b.nextID))
		}
	})
	err := d.addPlaces(ap, fresh)
	if err != nil {
		d.unlist(ap, fresh)
	}
	return err
}

// addPlaces has the host make places of processes.
func (d *Daemon) addPlaces(ap *application, fresh []*entry) error {
	specs, err := d.planned(fresh)
	if err != nil {
		return err
	}
	slots := map[string]int{}
	for _, e := range fresh {
		slots[e.place] = e.instance + 1
		for _, l := range e.files {
			l.Create() // tools that follow it don't wait for a line
		}
	}
	return ap.deployment.Add(specs, slots)
}

// newEntry puts a process into the list. Nobody has the id.
func (d *Daemon) newEntry(b *book, ap *application, id int) *entry {
	f := ap.facts.in(b)
	e := &entry{id: id, app: ap, instance: b.freeInstance(ap), uniqueID: rand.Text()}
	e.facts.in(b).created = time.Now()
	b.nextID = max(b.nextID, id+1)
	e.place = fmt.Sprintf("%s-%d", ap.key, e.id)
	d.logs.open(e, &f.app)
	f.entries = append(f.entries, e)
	b.entries[e.id] = e
	b.byPlace[e.place] = e
	return e
}

// freeInstance is the lowest number that no process of the app's name has.
func (b *book) freeInstance(ap *application) int {
	taken := map[int]bool{}
	for _, e := range b.entries {
		if e.app.name == ap.name {
			taken[e.instance] = true
		}
	}
	n := 0
	for taken[n] {
		n++
	}
	return n
}

// resize brings an app to a number of processes. New ones are not started.
func (d *Daemon) resize(ap *application, n int) error {
	entries := d.entriesOf(ap)
	if n >= len(entries) {
		return d.grow(ap, n)
	}
	return d.forget(ap, entries[n:])
}
