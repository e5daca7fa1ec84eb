package streams

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// inFlight holds the broadcasts of a namespace with recovery until the stream shows them. Their
// place there is what clients are given, and broadcasts of other servers are delivered in their own
// places. Redis shows an entry within a millisecond or so. A broadcast that doesn't show within
// patience is delivered with a mark in its place.
type inFlight struct {
	turn    *sync.Mutex   // held while something is delivered; taken before mu
	at      func() offset // how far the stream has been read; called with turn held
	uid     string        // of this process in the namespace
	deliver func(*cluster.Broadcast)
	patient time.Duration // patience, but in tests

	mu      sync.Mutex
	waiting []waiting // in the order of the calls
	early   []waiting // delivered, and not seen in the stream since
	timer   *time.Timer
	closed  bool
}

// waiting is a broadcast of this process, or a function to call behind one.
type waiting struct {
	b     *cluster.Broadcast
	entry []byte // the data of its entry; nil if it never got to the stream
	f     func() // with b nil
	due   time.Time

	// Of those in early:
	digest uint64 // of entry
	number int    // which of those in early with this digest, from 1
}

const (
	patience  = 100 * time.Millisecond
	earlyFor  = time.Minute
	mostEarly = 10_000
	atOnce    = time.Duration(0)
)

// emit makes b wait for its entry, which send hands to Redis. If wait is zero it is delivered at
// once.
func (q *inFlight) emit(b *cluster.Broadcast, entry []byte, wait time.Duration, send func() error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := send() // under mu, so both have the same order
	if err != nil {
		entry, wait = nil, atOnce
	}
	q.waiting = append(q.waiting, waiting{b: b, entry: entry, due: time.Now().Add(wait)})
	if q.timer == nil || wait == atOnce {
		q.rearmLocked(wait)
	}
	return err
}

func (q *inFlight) rearmLocked(wait time.Duration) {
	if q.timer != nil {
		q.timer.Stop()
	}
	q.timer = time.AfterFunc(wait, q.expire)
}

// after calls f once all that waits has been delivered.
func (q *inFlight) after(f func()) {
	q.mu.Lock()
	if len(q.waiting) == 0 {
		q.mu.Unlock()
		f()
		return
	}
	q.waiting = append(q.waiting, waiting{f: f, due: time.Now().Add(q.patient)})
	q.mu.Unlock()
}

// seen delivers the broadcast that waits for the entry of the stream that was just read, with turn
// held. Broadcasts before it never got to the stream, or will be sent again.
func (q *inFlight) seen(entry []byte) {
	q.mu.Lock()
	for i, w := range q.waiting {
		if w.entry != nil && bytes.Equal(w.entry, entry) {
			q.mu.Unlock()
			q.run(i+1, true)
			return
		}
	}
	for i, w := range q.early {
		if bytes.Equal(w.entry, entry) {
			q.forgetLocked(i)
			break
		}
	}
	q.mu.Unlock()
}

// run delivers the first n broadcasts, and calls the functions behind them. The stream has just
// shown the last of them if shown is true. One leaves the queue only when it is done, so after finds
// an empty queue only when no delivery is going on.
func (q *inFlight) run(n int, shown bool) {
	for k := 1; ; k++ {
		q.mu.Lock()
		if len(q.waiting) == 0 || k > n && q.waiting[0].b != nil {
			q.mu.Unlock()
			return
		}
		w := q.waiting[0]
		late := shown && k < n // the stream is already beyond its place
		if w.entry != nil && (late || !shown) {
			q.noteEarlyLocked(w)
		}
		at := position{q.at(), q.markLocked()}
		q.mu.Unlock()
		switch {
		case w.b == nil:
			w.f()
		case w.entry == nil, late: // it has no place, or its client hasn't seen what is at the present one
			q.deliver(w.b)
		default:
			placed := *w.b
			placed.Offset = at.String()
			q.deliver(&placed)
		}
		q.mu.Lock()
		q.waiting[0] = waiting{}
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
	}
}

// noteEarlyLocked notes a broadcast that is delivered before the stream shows it.
func (q *inFlight) noteEarlyLocked(w waiting) {
	q.pruneLocked()
	w.digest, w.number = digestOf(w.entry), 1
	for i := len(q.early) - 1; i >= 0; i-- {
		if q.early[i].digest == w.digest {
			w.number = q.early[i].number + 1
			break
		}
	}
	q.early = append(q.early, w)
	if len(q.early) > mostEarly {
		q.dropLocked(mostEarly / 10)
	}
}

// dropLocked removes the first n broadcasts from early.
func (q *inFlight) dropLocked(n int) {
	gone := make(map[uint64]int)
	for _, w := range q.early[:n] {
		gone[w.digest]++
	}
	q.early = slices.Delete(q.early, 0, n)
	for i := range q.early {
		q.early[i].number -= gone[q.early[i].digest]
	}
}

// forgetLocked removes a broadcast that the stream has shown from early.
func (q *inFlight) forgetLocked(i int) {
	gone := q.early[i].digest
	q.early = slices.Delete(q.early, i, i+1)
	for k := i; k < len(q.early); k++ {
		if q.early[k].digest == gone {
			q.early[k].number--
		}
	}
}

// pruneLocked forgets broadcasts that the stream probably never shows.
func (q *inFlight) pruneLocked() {
	old := time.Now().Add(-earlyFor)
	n := 0
	for n < len(q.early) && q.early[n].due.Before(old) {
		n++
	}
	if n > 0 {
		q.dropLocked(n)
	}
}

// markLocked names the last broadcast that was delivered early.
func (q *inFlight) markLocked() mark {
	if len(q.early) == 0 {
		return mark{}
	}
	return q.markOf(&q.early[len(q.early)-1])
}

func (q *inFlight) markOf(w *waiting) mark { return mark{q.uid, w.digest, w.number} }

// position returns the position behind the entry that was just read, with turn held.
func (q *inFlight) position() position {
	q.mu.Lock()
	defer q.mu.Unlock()
	return position{q.at(), q.markLocked()}
}

// expire delivers broadcasts that have waited too long.
func (q *inFlight) expire() {
	q.turn.Lock()
	defer q.turn.Unlock()
	q.mu.Lock()
	now, n := time.Now(), 0
	for i, w := range q.waiting {
		if !w.due.After(now) {
			n = i + 1 // it must not overtake those before it
		}
	}
	q.mu.Unlock()
	if n > 0 {
		q.run(n, false)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || q.closed {
		q.timer = nil
		return
	}
	q.rearmLocked(max(time.Until(q.waiting[0].due), time.Millisecond))
}

// missedEarly returns the broadcasts that were delivered here early a moment ago, for a socket that
// wasn't here then, with turn held. When the stream shows them they won't be delivered again.
func (q *inFlight) missedEarly(rooms []string) (missed []packet.Payload) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pruneLocked()
	for i := range q.early {
		if w := &q.early[i]; w.b.Selects(rooms) {
			missed = append(missed, cluster.WithOffset(w.b.Data, position{q.at(), q.markOf(w)}.String()))
		}
	}
	return missed
}

// close delivers what still waits.
func (q *inFlight) close() {
	q.turn.Lock()
	defer q.turn.Unlock()
	q.mu.Lock()
	q.closed = true
	n := len(q.waiting)
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	q.mu.Unlock()
	if n > 0 {
		q.run(n, false)
	}
}
