package streams

import "github.com/sidereal-io/sidereal/adapter/internal/wire"

// window measures the last part of a stream, as its entries are read, and says from where on the
// stream fits into its bound of bytes. Every server of ours trims the stream there. Whoever writes
// to it, Node's servers and emitters too, need not know the bound. Servers that have read up to
// different places name different ones, and the last of them counts, so an old one does no harm.
//
// It knows the stream in parts of about a 32nd of the bound, and so needs the same memory for any
// number of entries.
type window struct {
	maxBytes int // below zero: no bound

	parts []part // the oldest first
	bytes int    // of all parts
}

// part is a series of entries.
type part struct {
	first offset
	bytes int
}

const (
	windowParts = 32
	// keptParts are never trimmed. They have at least two entries, so that a server that is slower
	// by one large message still reads it.
	keptParts = 2
)

// sizeOf estimates the bytes that an entry takes in Redis.
func sizeOf(e *wire.Entry) int { return 64 + len(e.UID) + len(e.Namespace) + len(e.Data) }

// kept is the number of bytes that a trimmed stream has at most, if its entries are smaller.
func (w *window) kept() int { return w.maxBytes - w.maxBytes/8 }

// tooLarge reports whether the stream can't keep an entry of that size for clients that come back.
func (w *window) tooLarge(size int) bool { return w.maxBytes >= 0 && size > w.kept() }

// large reports whether a read of so many bytes may be all that the stream still has.
func (w *window) large(read int) bool { return w.maxBytes >= 0 && read >= w.maxBytes/2 }

// restart forgets the entries.
func (w *window) restart() { w.parts, w.bytes = nil, 0 }

// add notes the next entry of the stream.
func (w *window) add(at offset, size int) {
	if w.maxBytes < 0 {
		return
	}
	if n := len(w.parts); n == 0 || w.parts[n-1].bytes >= w.maxBytes/windowParts {
		w.parts = append(w.parts, part{first: at})
	}
	w.parts[len(w.parts)-1].bytes += size
	w.bytes += size
}

// trim returns the first entry that the stream should keep, if the stream is beyond its bound. Then
// it leaves an eighth free, so that few commands are needed.
func (w *window) trim() (first offset, due bool) {
	if w.maxBytes < 0 || w.bytes <= w.maxBytes {
		return offset{}, false
	}
	n := 0
	for ; len(w.parts)-n > keptParts && w.bytes > w.kept(); n++ {
		w.bytes -= w.parts[n].bytes
	}
	if n == 0 {
		return offset{}, false
	}
	w.parts = append(w.parts[:0], w.parts[n:]...)
	return w.parts[0].first, true
}
