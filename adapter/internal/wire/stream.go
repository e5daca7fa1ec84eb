package wire

import (
	"strconv"
	"unicode/utf16"
)

// Streams has the names of the streams adapter's streams (docs/adapter-wire.md, 5): one, or
// several that share the namespaces.
type Streams struct {
	Name  string
	Count int
}

// Of returns the stream of a namespace. Node takes the remainder of a hash that may be negative,
// so some names have a negative number.
func (s Streams) Of(namespace string) string {
	if s.Count == 1 {
		return s.Name
	}
	var hash int32
	for _, unit := range utf16.Encode([]rune(namespace)) {
		hash = hash*31 + int32(unit)
	}
	return s.numbered(int(hash) % s.Count)
}

// All returns the streams that may have a namespace's messages.
func (s Streams) All() []string {
	if s.Count == 1 {
		return []string{s.Name}
	}
	var names []string
	for n := 1 - s.Count; n < s.Count; n++ {
		names = append(names, s.numbered(n))
	}
	return names
}

func (s Streams) numbered(n int) string { return s.Name + "-" + strconv.Itoa(n) }
