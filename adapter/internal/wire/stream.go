package wire

import (
	"strconv"
	"unicode/utf16"
)

// Streams names the streams of the adapter over streams (docs/adapter-wire.md, 5): one, or several over which the namespaces are
// spread.
type Streams struct {
	Name  string
	Count int
}

// Of is the stream of a namespace. Node takes the remainder of a hash that may be negative, so that there are names with a
// negative number.
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

// All are the streams that a namespace can be in.
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
