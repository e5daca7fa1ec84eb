package daemon

import "sync/atomic"

// outbox holds what waits for a reader that may be slow or suspended: at most a number of items, and
// of bytes. It drops the others, and counts them. Anybody may offer; one goroutine reads items.
type outbox[T any] struct {
	items   chan T
	bytes   int64        // that may wait
	waiting atomic.Int64 // bytes in items
	dropped atomic.Int64 // since the last item that it took
}

func newOutbox[T any](items int, bytes int64) *outbox[T] {
	return &outbox[T]{items: make(chan T, items), bytes: bytes}
}

// offer makes an item of a size if there is room for it, and says how many were dropped just before.
// It reports whether there was.
func (o *outbox[T]) offer(size int, item func(dropped int64) T) bool {
	n := int64(size)
	if o.waiting.Add(n) <= o.bytes && len(o.items) < cap(o.items) {
		dropped := o.dropped.Swap(0)
		select {
		case o.items <- item(dropped):
			return true
		default: // another was faster
			o.dropped.Add(dropped)
		}
	}
	o.waiting.Add(-n)
	o.dropped.Add(1)
	return false
}

// taken makes room again for the size of an item that was received.
func (o *outbox[T]) taken(size int) { o.waiting.Add(-int64(size)) }
