package daemon

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sidereal-io/sidereal/internal/pm2"
)

// registry has what the daemon knows of its apps and processes. One goroutine, run, owns it: others
// send it functions (do), which read and change the book. These functions neither wait nor call do.
type registry struct {
	asks chan func(*book)
	over chan struct{} // closed when the goroutine is to end: do does nothing from then on
}

func newRegistry() *registry {
	return &registry{asks: make(chan func(*book)), over: make(chan struct{})}
}

// book is what a registry knows.
type book struct {
	apps    map[string]*application
	entries map[int]*entry
	byPlace map[string]*entry
	nextID  int
}

// kept is a part of the book that lies with what it is about. Only a function that was sent to the
// owner has a book, and so nobody else gets at it.
type kept[T any] struct{ value T }

func (k *kept[T]) in(*book) *T { return &k.value }

// run calls the functions that it is sent, until over is closed.
func (r *registry) run() {
	b := &book{apps: map[string]*application{}, entries: map[int]*entry{}, byPlace: map[string]*entry{}}
	for {
		select {
		case f := <-r.asks:
			f(b)
		case <-r.over:
			return
		}
	}
}

// do has the registry call f, and returns when it has. Once the daemon has ended, it does nothing.
func (r *registry) do(f func(*book)) {
	done := make(chan struct{})
	select {
	case r.asks <- func(b *book) {
		defer close(done)
		f(b)
	}:
		<-done
	case <-r.over:
	}
}

// seen is an app as it was when somebody looked: a copy, but for what the pointers lead to, which
// nobody changes.
type seen struct {
	*application
	facts
}

func (r *registry) see(ap *application) (v seen) {
	v.application = ap
	r.do(func(b *book) { v = ap.seenIn(b) })
	return v
}

func (ap *application) seenIn(b *book) seen {
	v := seen{ap, *ap.facts.in(b)}
	v.entries = slices.Clone(v.entries)
	return v
}

// change has the registry change what it knows of an app.
func (r *registry) change(ap *application, f func(*facts)) { r.do(func(b *book) { f(ap.facts.in(b)) }) }

// allApps are the apps, by key.
func (r *registry) allApps() (all []*application) {
	r.do(func(b *book) { all = b.sorted() })
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
func (r *registry) seeAll() (all []seen) {
	r.do(func(b *book) {
		for _, ap := range b.sorted() {
			all = append(all, ap.seenIn(b))
		}
	})
	return all
}

// entryAt is the process of the list at a place; nil: there is none.
func (r *registry) entryAt(place string) (e *entry) {
	r.do(func(b *book) { e = b.byPlace[place] })
	return e
}

// entriesOf are the processes of an app, by id.
func (r *registry) entriesOf(ap *application) []*entry { return r.see(ap).entries }

// stillListed are those of some processes that are in the list, by id.
func (r *registry) stillListed(entries []*entry) (left []*entry) {
	r.do(func(b *book) {
		for _, e := range entries {
			if b.entries[e.id] == e {
				left = append(left, e)
			}
		}
	})
	slices.SortFunc(left, func(a, b *entry) int { return cmp.Compare(a.id, b.id) })
	return left
}

// known finds the app of that name and namespace, the one of the same script first; nil: it is new.
func (r *registry) known(a *pm2.App) (found *application) {
	for _, ap := range r.seeAll() {
		if ap.name == a.Name && ap.names == a.Namespace && (found == nil || ap.app.Script == a.Script) {
			found = ap.application
		}
	}
	return found
}

// ended reports whether the daemon has.
func (r *registry) ended() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}
