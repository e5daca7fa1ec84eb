package daemon

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sidereal-io/sidereal/internal/pm2"
)

// registry has the state of the daemon's apps and processes. One goroutine, run, owns it. Others
// send it functions (do), which read and change the book. These functions neither wait nor call
// do.
type registry struct {
	asks chan func(*book)
	over chan struct{} // closed to end the goroutine; do then does nothing
}

func newRegistry() *registry {
	return &registry{asks: make(chan func(*book)), over: make(chan struct{})}
}

// book is a registry's state.
type book struct {
	apps    map[string]*application
	entries map[int]*entry
	byPlace map[string]*entry
	nextID  int
}

// kept is a part of the book that is stored beside its subject. Only functions that run on the
// owner's goroutine have a book, so nobody else can read it.
type kept[T any] struct{ value T }

func (k *kept[T]) in(*book) *T { return &k.value }

// run calls the functions sent to it until over is closed.
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

// do makes the registry call f, and returns after the call. It does nothing once the daemon has
// ended.
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

// seen is a copy of an app's state. Nobody changes what its pointers lead to.
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

// change changes an app's state.
func (r *registry) change(ap *application, f func(*facts)) { r.do(func(b *book) { f(ap.facts.in(b)) }) }

// allApps returns the apps, by key.
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

// seeAll returns the present state of the apps, by key.
func (r *registry) seeAll() (all []seen) {
	r.do(func(b *book) {
		for _, ap := range b.sorted() {
			all = append(all, ap.seenIn(b))
		}
	})
	return all
}

// entryAt returns the listed process at a place, or nil.
func (r *registry) entryAt(place string) (e *entry) {
	r.do(func(b *book) { e = b.byPlace[place] })
	return e
}

// entriesOf returns an app's processes, by id.
func (r *registry) entriesOf(ap *application) []*entry { return r.see(ap).entries }

// stillListed returns those of entries that are still in the list, by id.
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

// known returns the app of that name and namespace, preferably with the same script and then with
// the same arguments, or nil. Apps in taken are others of the same name.
func (r *registry) known(a *pm2.App, taken map[*application]bool) (found *application) {
	best := -1
	for _, ap := range r.seeAll() {
		if ap.name != a.Name || ap.names != a.Namespace || taken[ap.application] {
			continue
		}
		alike := 0
		if ap.app.Script == a.Script {
			alike = 1
			if slices.Equal(ap.app.Args, a.Args) {
				alike = 2
			}
		}
		if alike > best {
			best, found = alike, ap.application
		}
	}
	return found
}

// appOf returns the app of a key, or nil.
func (r *registry) appOf(key string) (ap *application) {
	r.do(func(b *book) { ap = b.apps[key] })
	return ap
}

// ended reports whether the daemon has ended.
func (r *registry) ended() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}
