package streams

import (
	"cmp"
	"strconv"
	"strings"
)

// offset is a place in a stream: the id of an entry, which Redis makes from its clock and a number.
// The zero value is the place before all entries.
type offset struct{ ms, seq uint64 }

// parseOffset reads an offset in the form that Redis writes and clients send back.
func parseOffset(s string) (o offset, ok bool) {
	ms, seq, ok := strings.Cut(s, "-")
	if !ok || !digits(ms) || !digits(seq) {
		return o, false
	}
	var errMS, errSeq error
	o.ms, errMS = strconv.ParseUint(ms, 10, 64)
	o.seq, errSeq = strconv.ParseUint(seq, 10, 64)
	return o, errMS == nil && errSeq == nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func (o offset) String() string {
	var b [41]byte
	text := strconv.AppendUint(b[:0], o.ms, 10)
	return string(strconv.AppendUint(append(text, '-'), o.seq, 10))
}

func (o offset) compare(other offset) int {
	return cmp.Or(cmp.Compare(o.ms, other.ms), cmp.Compare(o.seq, other.seq))
}

func (o offset) after(other offset) bool { return o.compare(other) > 0 }
