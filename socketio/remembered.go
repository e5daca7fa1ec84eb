package socketio

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/wheel"
)

// remembered is the Recoverer of a namespace that is alone: it keeps all in this process.
type remembered struct {
	n     *Namespace
	cfg   Recovery
	wheel *wheel.Wheel
	timer wheel.Timer

	mu       sync.Mutex // held while an event is numbered and sent, so that clients see the numbers rise
	sessions map[string]*savedSession
	events   []savedEvent // oldest first
	bytes    int
	last     int64 // the last number, which is about the time in ms
}

var _ Recoverer = (*remembered)(nil)

// savedSession is what a socket was when it disconnected.
type savedSession struct {
	Session
	at   time.Time
	from int64 // the last number before the socket began
}

// savedEvent is an event that somebody may have missed.
type savedEvent struct {
	number int64
	target Target
	data   Payload
	at     time.Time
}

func newRemembered(n *Namespace, cfg Recovery) *remembered {
	r := &remembered{n: n, cfg: cfg, wheel: n.server.wheel, sessions: make(map[string]*savedSession)}
	r.timer.Owner = r
	return r
}

// Emit numbers b, keeps it and delivers it.
func (r *remembered) Emit(b *Broadcast) error {
	r.mu.Lock()
	now := time.Now()
	r.last = max(r.last+1, now.UnixMilli())
	numbered := (&Broadcast{Target: b.Target, Flags: b.Flags, Data: b.Data, Offset: strconv.FormatInt(r.last, 36)}).withOffset()
	r.events = append(r.events, savedEvent{r.last, b.Target, numbered.Data, now})
	for r.bytes += numbered.size(); r.bytes > r.cfg.MaxBytes; {
		r.dropLocked(1)
	}
	r.scheduleLocked()
	if len(r.n.registry.Load().anyOutgoing) > 0 { // they may emit
		r.mu.Unlock()
		r.n.deliver(numbered)
		return nil
	}
	defer r.mu.Unlock()
	r.n.deliver(numbered)
	return nil
}

// After calls f at once: nothing waits here.
func (r *remembered) After(f func()) { f() }

func (b *Broadcast) size() int {
	size := len(b.Data.JSON)
	for _, a := range b.Data.Attachments {
		size += len(a)
	}
	return size
}

func (r *remembered) dropLocked(n int) {
	for _, e := range r.events[:n] {
		r.bytes -= (&Broadcast{Data: e.data}).size()
	}
	clear(r.events[:n])
	r.events = r.events[n:]
}

// Begin has nothing to keep while the socket is here.
func (r *remembered) Begin(string, Holder) Tenure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &tenure{of: r, from: r.last}
}

// Resume takes the session: of two connections that know its pid one gets it. Left puts it back if
// the client is cut off before it hears.
func (r *remembered) Resume(_ context.Context, pid, offset string, _ Holder) (Session, Tenure, bool) {
	number, err := strconv.ParseInt(offset, 36, 64)
	r.mu.Lock()
	defer r.mu.Unlock()
	session := r.sessions[pid]
	if err != nil || session == nil || time.Since(session.at) > r.cfg.MaxDisconnection || r.indexLocked(number) < 0 {
		return Session{}, nil, false
	}
	delete(r.sessions, pid)
	was := session.Session
	was.Rooms, was.Data = slices.Clone(was.Rooms), maps.Clone(was.Data)
	return was, &tenure{of: r, back: session, offset: max(number, session.from), from: session.from}, true
}

// tenure is that of a socket here.
type tenure struct {
	of     *remembered
	back   *savedSession // of a client that came back
	offset int64
	from   int64
}

// Enter implements Tenure.
func (t *tenure) Enter(f func(missed []Payload) bool) {
	if t.back == nil {
		f(nil)
		return
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	f(t.of.missedLocked(t.back, t.offset))
}

// Changed implements Tenure.
func (t *tenure) Changed() {}

// Left implements Tenure.
func (t *tenure) Left(was Session) {
	r := t.of
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[was.PID] = &savedSession{was, time.Now(), t.from}
	r.scheduleLocked()
}

// End implements Tenure.
func (t *tenure) End() {}

// indexLocked is the place of the event with a number, or -1.
func (r *remembered) indexLocked(number int64) int {
	i, ok := r.findLocked(number)
	if !ok {
		return -1
	}
	return i
}

func (r *remembered) findLocked(number int64) (i int, found bool) {
	return slices.BinarySearchFunc(r.events, number, func(e savedEvent, n int64) int { return cmp.Compare(e.number, n) })
}

// missedLocked are the events after offset that were for a session.
func (r *remembered) missedLocked(session *savedSession, offset int64) (missed []Payload) {
	i, found := r.findLocked(offset)
	if found {
		i++
	}
	for _, e := range r.events[i:] {
		if e.target.Selects(session.Rooms) {
			missed = append(missed, e.data)
		}
	}
	return missed
}

// Selects tells whether a socket that is in rooms is among those that t selects.
func (t *Target) Selects(rooms []string) bool {
	in := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(rooms, name) })
	}
	return (len(t.Rooms) == 0 || in(t.Rooms)) && !in(t.Except)
}

// sweepInterval is how often what is too old is let go of.
const sweepInterval = time.Minute

func (r *remembered) scheduleLocked() {
	if !r.wheel.Active(&r.timer) {
		r.wheel.Schedule(&r.timer, sweepInterval)
	}
}

// Expire lets go of what is too old.
func (r *remembered) Expire(*wheel.Timer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := time.Now().Add(-r.cfg.MaxDisconnection)
	for pid, session := range r.sessions {
		if session.at.Before(old) {
			delete(r.sessions, pid)
		}
	}
	n := 0
	for n < len(r.events) && r.events[n].at.Before(old) {
		n++
	}
	r.dropLocked(n)
	if len(r.sessions)+len(r.events) > 0 {
		r.scheduleLocked()
	}
}
