package streams

import (
	"bytes"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// inFlight holds the broadcasts of a namespace with recovery until the stream shows them. Their
// place there is the offset that clients are given, and broadcasts of other servers are delivered
// in their own places. Redis shows an entry within a millisecond or so. A broadcast that doesn't
// show within patience is delivered without an offset.
type inFlight struct {
	turn    *sync.Mutex // held while something is delivered; taken before mu
	deliver func(*cluster.Broadcast)
	patient time.Duration // patience, but in tests

	mu      sync.Mutex
	waiting []waiting // in the order of the calls
	early   []waiting // delivered without an offset, and not seen in the stream since
	timer   *time.Timer
	closed  bool
}

// waiting is a broadcast of this process, or a function to call behind one.
type waiting struct {
	b     *cluster.Broadcast
	entry []byte // the data of its entry; nil if it never got to the stream
	f     func() // with b nil
	due   time.Time
}

const (
	patience    = 100 * time.Millisecond
	earlyFor    = time.Minute
	mostEarly   = 10_000
	atOnce      = time.Duration(0)
	noOffsetYet = ""
)

// emit makes b wait for its entry, which send hands to Redis. If wait is zero it is delivered at
// once, without an offset.
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

// seen delivers the broadcast that waits for an entry of the stream, with turn held. Broadcasts
// before it never got to the stream, or will be sent again.
func (q *inFlight) seen(entry []byte, at offset) {
	q.mu.Lock()
	for i, w := range q.waiting {
		if w.entry != nil && bytes.Equal(w.entry, entry) {
			q.mu.Unlock()
			q.run(i+1, at.String())
			return
		}
	}
	for i, w := range q.early {
		if bytes.Equal(w.entry, entry) {
			q.early = append(q.early[:i:i], q.early[i+1:]...)
			break
		}
	}
	q.mu.Unlock()
}

// run delivers the first n broadcasts, the last of them with its offset, and calls the functions
// behind them. One leaves the queue only when it is done, so after finds an empty queue only when
// no delivery is going on.
func (q *inFlight) run(n int, at string) {
	for k := 1; ; k++ {
		q.mu.Lock()
		if len(q.waiting) == 0 || k > n && q.waiting[0].b != nil {
			q.mu.Unlock()
			return
		}
		w := q.waiting[0]
		q.mu.Unlock()
		switch {
		case w.b == nil:
			w.f()
		case k == n && at != noOffsetYet:
			numbered := *w.b
			numbered.Offset = at
			q.deliver(&numbered)
		default:
			q.deliver(w.b)
		}
		q.mu.Lock()
		if w.entry != nil && (k < n || at == noOffsetYet) {
			q.early = append(q.early, w)
			if len(q.early) > mostEarly {
				q.early = q.early[1:]
			}
		}
		q.waiting[0] = waiting{}
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
	}
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
		q.run(n, noOffsetYet)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 || q.closed {
		q.timer = nil
		return
	}
	q.rearmLocked(max(time.Until(q.waiting[0].due), time.Millisecond))
}

// missedEarly returns the broadcasts that were delivered here without an offset a moment ago, for a
// socket that wasn't here then. When the stream shows them they won't be delivered again.
func (q *inFlight) missedEarly(rooms []string) (missed []packet.Payload) {
	q.mu.Lock()
	defer q.mu.Unlock()
	old := time.Now().Add(-earlyFor)
	for len(q.early) > 0 && q.early[0].due.Before(old) {
		q.early = q.early[1:]
	}
	for _, w := range q.early {
		if w.b.Selects(rooms) {
			missed = append(missed, w.b.Data)
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
		q.run(n, noOffsetYet)
	}
}
