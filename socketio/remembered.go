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
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// remembered is the Recoverer of a namespace that is alone: it keeps all in this process.
type remembered struct {
	n     *Namespace
	cfg   Recovery
	wheel *wheel.Wheel
	timer wheel.Timer

	mu       sync.Mutex // held while an event is numbered and sent, so that clients see the numbers rise
	sessions map[string]*savedSnapshot
	events   []savedEvent // oldest first
	bytes    int
	last     int64 // the last number, which is about the time in ms
}

var _ cluster.Recoverer = (*remembered)(nil)

// savedSnapshot is what a socket was when it disconnected.
type savedSnapshot struct {
	cluster.Snapshot
	at   time.Time
	from int64 // the last number before the socket began
}

// savedEvent is an event that somebody may have missed.
type savedEvent struct {
	number int64
	target cluster.Target
	data   packet.Payload
	at     time.Time
}

func newRemembered(n *Namespace, cfg Recovery) *remembered {
	r := &remembered{n: n, cfg: cfg, wheel: n.server.wheel, sessions: make(map[string]*savedSnapshot)}
	r.timer.Owner = r
	return r
}

// Emit numbers b, keeps it and delivers it.
func (r *remembered) Emit(b *cluster.Broadcast) error {
	r.mu.Lock()
	now := time.Now()
	r.last = max(r.last+1, now.UnixMilli())
	numbered := withOffset(&cluster.Broadcast{Target: b.Target, Flags: b.Flags, Data: b.Data, Offset: strconv.FormatInt(r.last, 36)})
	r.events = append(r.events, savedEvent{r.last, b.Target, numbered.Data, now})
	for r.bytes += size(numbered.Data); r.bytes > r.cfg.MaxBytes; {
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

// size is the number of bytes that p takes in the log.
func size(p packet.Payload) int {
	n := len(p.JSON)
	for _, a := range p.Attachments {
		n += len(a)
	}
	return n
}

func (r *remembered) dropLocked(n int) {
	for _, e := range r.events[:n] {
		r.bytes -= size(e.data)
	}
	clear(r.events[:n])
	r.events = r.events[n:]
}

// Begin has nothing to keep while the socket is here.
func (r *remembered) Begin(string, cluster.Holder) cluster.Lease {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &lease{of: r, from: r.last}
}

// Resume takes the session: of two connections that know its pid one gets it. Left puts it back if
// the client is cut off before it hears.
func (r *remembered) Resume(_ context.Context, pid, offset string, _ cluster.Holder) (cluster.Snapshot, cluster.Lease, bool) {
	number, err := strconv.ParseInt(offset, 36, 64)
	r.mu.Lock()
	defer r.mu.Unlock()
	session := r.sessions[pid]
	if err != nil || session == nil || time.Since(session.at) > r.cfg.MaxDisconnection || r.indexLocked(number) < 0 {
		return cluster.Snapshot{}, nil, false
	}
	delete(r.sessions, pid)
	was := session.Snapshot
	was.Rooms, was.Data = slices.Clone(was.Rooms), maps.Clone(was.Data)
	return was, &lease{of: r, back: session, offset: max(number, session.from), from: session.from}, true
}

// lease is that of a socket here.
type lease struct {
	of     *remembered
	back   *savedSnapshot // of a client that came back
	offset int64
	from   int64
}

// Enter implements cluster.Lease.
func (t *lease) Enter(f func(missed []packet.Payload) bool) {
	if t.back == nil {
		f(nil)
		return
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	f(t.of.missedLocked(t.back, t.offset))
}

// Changed implements cluster.Lease.
func (t *lease) Changed() {}

// Left implements cluster.Lease.
func (t *lease) Left(was cluster.Snapshot) {
	r := t.of
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[was.PID] = &savedSnapshot{was, time.Now(), t.from}
	r.scheduleLocked()
}

// End implements cluster.Lease.
func (t *lease) End() {}

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
func (r *remembered) missedLocked(session *savedSnapshot, offset int64) (missed []packet.Payload) {
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
