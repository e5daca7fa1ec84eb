package daemon

import (
	"cmp"
	"slices"
	"strings"
)

// book is what the daemon knows of its apps and processes. It belongs to one goroutine, Daemon.own:
// everybody else sends it functions (Daemon.do), which look and change, and neither wait nor call
// do.
type book struct {
	apps    map[string]*application
	entries map[int]*entry
	byPlace map[string]*entry
	nextID  int
}

func newBook() *book {
	return &book{apps: map[string]*application{}, entries: map[int]*entry{}, byPlace: map[string]*entry{}}
}

// kept is a part of the book that lies with what it is about. Only a function that was sent to the
// owner has a book, and so nobody else gets at it.
type kept[T any] struct{ value T }

func (k *kept[T]) in(*book) *T { return &k.value }

// own does what it is sent, until it is told to stop.
func (d *Daemon) own(b *book) {
	for {
		select {
		case f := <-d.asks:
			f(b)
		case <-d.over:
			return
		}
	}
}

// do has the owner call f, and returns when it has. Once the daemon has ended, it does nothing.
func (d *Daemon) do(f func(*book)) {
	done := make(chan struct{})
	select {
	case d.asks <- func(b *book) {
		defer close(done)
		f(b)
	}:
		<-done
	case <-d.over:
	}
}

// seen is an app as it was when somebody looked: a copy, but for what the pointers lead to, which
// nobody changes.
type seen struct {
	*application
	facts
}

func (d *Daemon) see(ap *application) (v seen) {
	v.application = ap
	d.do(func(b *book) { v = ap.seenIn(b) })
	return v
}

func (ap *application) seenIn(b *book) seen {
	v := seen{ap, *ap.facts.in(b)}
	v.entries = slices.Clone(v.entries)
	return v
}

// change has the owner change what it knows of an app.
func (d *Daemon) change(ap *application, f func(*facts)) { d.do(func(b *book) { f(ap.facts.in(b)) }) }

// allApps are the apps, by key.
func (d *Daemon) allApps() (all []*application) {
	d.do(func(b *book) { all = b.sorted() })
	return all
}

func (b *book) sorted() (all []*application) {
	for _, ap := range b.apps {
		all = append(all, ap)
	}
	slices.SortFunc(all, func(a, b *application) int { return strings.Compare(a.key, b.key) })
	return all
}

// seeAll are the apps as they are now, by key.
func (d *Daemon) seeAll() (all []seen) {
	d.do(func(b *book) {
		for _, ap := range b.sorted() {
			all = append(all, ap.seenIn(b))
		}
	})
	return all
}

// entryAt is the process of the list at a place; nil: there is none.
func (d *Daemon) entryAt(place string) (e *entry) {
	d.do(func(b *book) { e = b.byPlace[place] })
	return e
}

// entriesOf are the processes of an app, by id.
func (d *Daemon) entriesOf(ap *application) []*entry { return d.see(ap).entries }

// stillListed are those of some processes that are in the list, by id.
func (d *Daemon) stillListed(entries []*entry) (left []*entry) {
	d.do(func(b *book) {
		for _, e := range entries {
			if b.entries[e.id] == e {
				left = append(left, e)
			}
		}
	})
	slices.SortFunc(left, func(a, b *entry) int { return cmp.Compare(a.id, b.id) })
	return left
}
