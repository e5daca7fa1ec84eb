package socketio

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/wheel"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// memory is the Recoverer of a namespace without an adapter. It keeps everything in this process.
type memory struct {
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

var _ cluster.Recoverer = (*memory)(nil)

// savedSnapshot is the state of a socket when it disconnected.
type savedSnapshot struct {
	cluster.Snapshot
	at   time.Time
	from int64 // the last number before the socket began
}

// savedEvent is an event that a client may have missed.
type savedEvent struct {
	number int64
	target cluster.Target
	data   packet.Payload
	at     time.Time
}

func newMemory(n *Namespace, cfg Recovery) *memory {
	r := &memory{n: n, cfg: cfg, wheel: n.server.wheel, sessions: make(map[string]*savedSnapshot)}
	r.timer.Owner = r
	return r
}

// Emit numbers b, keeps it and delivers it.
func (r *memory) Emit(b *cluster.Broadcast) error {
	r.noteSize(b)
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

// noteSize logs an event that is too large to keep.
func (r *memory) noteSize(b *cluster.Broadcast) {
	bytes := size(b.Data) + offsetBytes
	if bytes <= r.cfg.MaxBytes {
		return
	}
	event, _, _ := b.Data.Event() // its own, so it can be read
	r.n.server.notices.oversize.Warn(r.n.server.cfg.Log, "message too large for recovery: clients that are away now will start anew",
		"namespace", r.n.name, "event", event, "size_bytes", bytes, "limit_bytes", r.cfg.MaxBytes, "setting", "Recovery.MaxBytes")
}

// offsetBytes is the size of the offset that Emit adds.
const offsetBytes = 11

// After calls f at once, since Emit delivers at once.
func (r *memory) After(f func()) { f() }

// size returns the number of bytes of p in the log.
func size(p packet.Payload) int {
	n := len(p.JSON)
	for _, a := range p.Attachments {
		n += len(a)
	}
	return n
}

func (r *memory) dropLocked(n int) {
	for _, e := range r.events[:n] {
		r.bytes -= size(e.data)
	}
	clear(r.events[:n])
	r.events = r.events[n:]
}

// Begin has nothing to keep while the socket is here.
func (r *memory) Begin(string, cluster.Holder) cluster.Lease {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &lease{of: r, from: r.last}
}

// Resume takes the snapshot, so that only one of two connections with the same pid gets it. Left
// puts it back if the client is cut off before it hears.
func (r *memory) Resume(_ context.Context, pid, offset string, _ cluster.Holder) (cluster.Snapshot, cluster.Lease, bool) {
	number, err := strconv.ParseInt(offset, 36, 64)
	r.mu.Lock()
	defer r.mu.Unlock()
	session := r.sessions[pid]
	if err != nil || session == nil || time.Since(session.at) > r.cfg.MaxDisconnection || r.indexLocked(number) < 0 {
		return cluster.Snapshot{}, nil, false
	}
	delete(r.sessions, pid)
	was := session.Snapshot
	was.Rooms = slices.Clone(was.Rooms)
	return was, &lease{of: r, back: session, offset: max(number, session.from), from: session.from}, true
}

// lease is the cluster.Lease of a socket here.
type lease struct {
	of     *memory
	back   *savedSnapshot // of a client that came back
	offset int64
	from   int64
}

// Enter implements cluster.Lease.
func (t *lease) Enter(_ context.Context, f func(missed []packet.Payload) bool) {
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

// indexLocked returns the place of the event with a number, or -1.
func (r *memory) indexLocked(number int64) int {
	i, ok := r.findLocked(number)
	if !ok {
		return -1
	}
	return i
}

func (r *memory) findLocked(number int64) (i int, found bool) {
	return slices.BinarySearchFunc(r.events, number, func(e savedEvent, n int64) int { return cmp.Compare(e.number, n) })
}

// missedLocked returns the events after offset that were for a socket.
func (r *memory) missedLocked(session *savedSnapshot, offset int64) (missed []packet.Payload) {
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

// sweepInterval is the time between two sweeps of old snapshots and events, unless a snapshot gets
// too old before. sweepPause is the least time.
const (
	sweepInterval = time.Minute
	sweepPause    = 100 * time.Millisecond
)

func (r *memory) scheduleLocked() {
	if !r.wheel.Active(&r.timer) {
		r.wheel.Schedule(&r.timer, min(sweepInterval, r.cfg.MaxDisconnection+sweepPause))
	}
}

// Expire drops old snapshots and events.
func (r *memory) Expire(*wheel.Timer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	old := now.Add(-r.cfg.MaxDisconnection)
	next := sweepInterval
	for pid, session := range r.sessions {
		if session.at.After(old) {
			next = min(next, session.at.Sub(old))
			continue
		}
		delete(r.sessions, pid)
		r.n.gone(session.Snapshot)
	}
	n := 0
	for n < len(r.events) && r.events[n].at.Before(old) {
		n++
	}
	r.dropLocked(n)
	if len(r.sessions)+len(r.events) > 0 {
		r.wheel.Schedule(&r.timer, max(next, sweepPause))
	}
}
