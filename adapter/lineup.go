package adapter

import (
	"bytes"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// lineup holds what a namespace with recovery emits until the stream shows it: its place there is the offset that clients
// are given, and what other servers emit is delivered in its own place. Redis shows it within a millisecond or so. What
// Redis does not show within patience is delivered without an offset.
type lineup struct {
	turn    *sync.Mutex // held while something is delivered; taken before mu
	deliver func(*cluster.Broadcast)

	mu      sync.Mutex
	waiting []waiting // in the order of the calls
	late    []waiting // delivered without an offset, and not seen in the stream since
	timer   *time.Timer
	closed  bool
}

// waiting is a broadcast of this process, or what is to be done behind one.
type waiting struct {
	b     *cluster.Broadcast
	entry []byte // the data of its entry; nil: it never got to the stream
	f     func() // with b nil
	due   time.Time
}

const (
	patience    = 100 * time.Millisecond
	lateFor     = time.Minute
	mostLate    = 10_000
	atOnce      = time.Duration(0)
	noOffsetYet = ""
)

// emit has b wait for its entry, which send hands to Redis. With wait 0 it is delivered without.
func (l *lineup) emit(b *cluster.Broadcast, entry []byte, wait time.Duration, send func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := send() // under mu: what waits has the order of what is sent
	if err != nil {
		entry, wait = nil, atOnce
	}
	l.waiting = append(l.waiting, waiting{b: b, entry: entry, due: time.Now().Add(wait)})
	if l.timer == nil || wait == atOnce {
		l.rearmLocked(wait)
	}
	return err
}

func (l *lineup) rearmLocked(wait time.Duration) {
	if l.timer != nil {
		l.timer.Stop()
	}
	l.timer = time.AfterFunc(wait, l.expire)
}

// after calls f behind what waits.
func (l *lineup) after(f func()) {
	l.mu.Lock()
	if len(l.waiting) == 0 {
		l.mu.Unlock()
		f()
		return
	}
	l.waiting = append(l.waiting, waiting{f: f, due: time.Now().Add(patience)})
	l.mu.Unlock()
}

// seen delivers what waits for an entry that was read from the stream, under turn. What was emitted before it never got
// to the stream, or comes again.
func (l *lineup) seen(entry []byte, at offset) {
	l.mu.Lock()
	for i, w := range l.waiting {
		if w.entry != nil && bytes.Equal(w.entry, entry) {
			l.mu.Unlock()
			l.run(i+1, at.String())
			return
		}
	}
	for i, w := range l.late {
		if bytes.Equal(w.entry, entry) {
			l.late = append(l.late[:i:i], l.late[i+1:]...)
			break
		}
	}
	l.mu.Unlock()
}

// run delivers the first n of what waits, the last of them with its offset, and what is to be done behind them. One leaves
// the line only when it is done, so that after finds nothing waiting only when nothing is going on.
func (l *lineup) run(n int, at string) {
	for k := 1; ; k++ {
		l.mu.Lock()
		if len(l.waiting) == 0 || k > n && l.waiting[0].b != nil {
			l.mu.Unlock()
			return
		}
		w := l.waiting[0]
		l.mu.Unlock()
		switch {
		case w.b == nil:
			w.f()
		case k == n && at != noOffsetYet:
			numbered := *w.b
			numbered.Offset = at
			l.deliver(&numbered)
		default:
			l.deliver(w.b)
		}
		l.mu.Lock()
		if w.entry != nil && (k < n || at == noOffsetYet) {
			l.late = append(l.late, w)
			if len(l.late) > mostLate {
				l.late = l.late[1:]
			}
		}
		l.waiting[0] = waiting{}
		l.waiting = l.waiting[1:]
		l.mu.Unlock()
	}
}

// expire delivers what has waited for too long.
func (l *lineup) expire() {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	now, n := time.Now(), 0
	for i, w := range l.waiting {
		if !w.due.After(now) {
			n = i + 1 // those before it are not to be overtaken
		}
	}
	l.mu.Unlock()
	if n > 0 {
		l.run(n, noOffsetYet)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 || l.closed {
		l.timer = nil
		return
	}
	l.rearmLocked(max(time.Until(l.waiting[0].due), time.Millisecond))
}

// missedLate are broadcasts that were delivered here without an offset a moment ago, for a socket that was not here then:
// when the stream shows them they will not be delivered again.
func (l *lineup) missedLate(rooms []string) (missed []packet.Payload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := time.Now().Add(-lateFor)
	for len(l.late) > 0 && l.late[0].due.Before(old) {
		l.late = l.late[1:]
	}
	for _, w := range l.late {
		if w.b.Selects(rooms) {
			missed = append(missed, w.b.Data)
		}
	}
	return missed
}

// close ends the waiting: what still does is delivered.
func (l *lineup) close() {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	l.closed = true
	n := len(l.waiting)
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.mu.Unlock()
	if n > 0 {
		l.run(n, noOffsetYet)
	}
}
