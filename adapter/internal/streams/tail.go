package streams

import (
	"slices"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// tail is the last part of a stream that was read, about as long as the stream itself. It spares
// Redis from reading the stream again for each of a thousand clients that come back at once.
type tail struct {
	on       bool
	maxLen   int
	maxBytes int

	base  offset // all entries after it, up to where the stream has been read, are in list
	list  []tailEntry
	bytes int
}

type tailEntry struct {
	at offset
	wire.Entry
}

func (e *tailEntry) size() int { return 64 + len(e.Namespace) + len(e.Data) }

// restart forgets all entries. Reading goes on after base.
func (t *tail) restart(base offset) {
	t.base, t.list, t.bytes = base, nil, 0
}

func (t *tail) add(at offset, e wire.Entry) {
	if !t.on {
		t.base = at
		return
	}
	one := tailEntry{at, e}
	t.list = append(t.list, one)
	t.bytes += one.size()
	for len(t.list) > t.maxLen || t.bytes > t.maxBytes {
		first := &t.list[0]
		t.base = first.at
		t.bytes -= first.size()
		*first = tailEntry{}
		t.list = t.list[1:]
	}
}

// after returns the entries after o, if the tail still has all of them.
func (t *tail) after(o offset) ([]tailEntry, bool) {
	if t.base.after(o) {
		return nil, false
	}
	i, found := t.find(o)
	if found {
		i++
	}
	return t.list[i:], true
}

func (t *tail) find(o offset) (i int, found bool) {
	return slices.BinarySearchFunc(t.list, o, func(e tailEntry, o offset) int { return e.at.compare(o) })
}

// has reports whether an entry with the offset o was read, and whether the tail can know that.
func (t *tail) has(o offset) (was, known bool) {
	if o == t.base {
		return true, o != offset{}
	}
	if t.base.after(o) {
		return false, false
	}
	_, was = t.find(o)
	return was, true
}
