package cluster

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// hubLog is the Recoverer of one namespace on all servers of a Hub: the log of its events, and the
// snapshots of its sockets. One event or entry after the other passes through turns, so that all
// servers deliver in the order of the log.
type hubLog struct {
	members func() []*hubMember

	mu      sync.Mutex
	turns   []func() // what is to be done, in order
	turning bool     // a goroutine is at it

	away     time.Duration // the longest MaxDisconnection of the servers
	maxBytes int
	events   []hubEvent // oldest first
	bytes    int
	last     int64 // the number of the last event
	dropped  int64 // the number of the last event that left the log
	leases   map[string]*hubLease
	saved    map[string]*hubSnapshot
	leaving  []*hubSnapshot // of saved, and some that left it again; oldest first
	lost     []*hubSnapshot // too old, and not reported yet
}

// hubEvent is an event that a client may have missed.
type hubEvent struct {
	number int64
	at     time.Time
	*Broadcast
}

// hubSnapshot is the state of a socket whose client is away.
type hubSnapshot struct {
	Snapshot
	at   time.Time
	from int64 // the number of the last event before the socket began
	by   hubRecoverer
}

func newHubLog(members func() []*hubMember) *hubLog {
	return &hubLog{members: members, leases: make(map[string]*hubLease), saved: make(map[string]*hubSnapshot)}
}

// Recover implements RecoveringAdapter. The servers of a namespace share one log.
func (m *hubMember) Recover(maxDisconnection time.Duration, maxBytes int, gone func(Snapshot)) Recoverer {
	m.hub.mu.Lock()
	defer m.hub.mu.Unlock()
	name := m.local.Name()
	log := m.hub.logs[name]
	if log == nil {
		log = newHubLog(func() []*hubMember {
			m.hub.mu.Lock()
			defer m.hub.mu.Unlock()
			return m.hub.members[name]
		})
		m.hub.logs[name] = log
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	log.away, log.maxBytes = max(log.away, maxDisconnection), max(log.maxBytes, maxBytes)
	m.log.Store(log)
	return hubRecoverer{log, m, gone}
}

// hubRecoverer is the hubLog as one server sees it.
type hubRecoverer struct {
	*hubLog
	member *hubMember
	gone   func(Snapshot)
}

// Begin implements Recoverer.
func (r hubRecoverer) Begin(pid string, h Holder) Lease { return r.begin(pid, h, r) }

// Resume implements Recoverer.
func (r hubRecoverer) Resume(_ context.Context, pid, offset string, h Holder) (Snapshot, Lease, bool) {
	return r.resume(pid, offset, h, r)
}

// away reports that a client hasn't come back, unless the server has ended.
func (r hubRecoverer) away(was Snapshot) {
	if slices.Contains(r.members(), r.member) {
		r.gone(was)
	}
}

// inTurn calls f after everything that was passed to inTurn before, on this goroutine or on the one
// that is at it.
func (l *hubLog) inTurn(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = append(l.turns, f)
	if l.turning {
		return
	}
	l.turning = true
	for len(l.turns) > 0 {
		next := l.turns[0]
		l.turns = l.turns[1:]
		l.mu.Unlock()
		next()
		l.mu.Lock()
	}
	l.turns, l.turning = nil, false
}

// Emit implements Recoverer.
func (l *hubLog) Emit(b *Broadcast) error {
	l.inTurn(func() {
		numbered := l.add(b)
		for _, m := range l.members() {
			m.local.Deliver(numbered)
		}
	})
	return nil
}

// add gives b its place in the log.
func (l *hubLog) add(b *Broadcast) *Broadcast {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.last++
	numbered := *b
	numbered.Offset = hubOffset(l.last)
	l.events = append(l.events, hubEvent{l.last, now, &numbered})
	l.bytes += hubSize(&numbered)
	l.expireLocked(now)
	for l.bytes > l.maxBytes {
		l.dropLocked()
	}
	return &numbered
}

// After implements Recoverer.
func (l *hubLog) After(f func()) { l.inTurn(f) }

func (l *hubLog) begin(pid string, h Holder, by hubRecoverer) Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := &hubLease{log: l, by: by, pid: pid, holder: h, from: l.last}
	l.leases[pid] = lease
	return lease
}

// resume takes a snapshot. A client may come back before the server that it left has noticed,
// or after that server was killed; the snapshot is then the socket's present state.
func (l *hubLog) resume(pid, offset string, h Holder, by hubRecoverer) (Snapshot, Lease, bool) {
	l.mu.Lock()
	l.expireLocked(time.Now())
	held := l.leases[pid]
	l.mu.Unlock()
	var was hubSnapshot
	open := false
	if held != nil {
		was.Snapshot, open = held.holder.Snapshot()
		was.from = held.from
	}
	l.mu.Lock()
	if saved := l.saved[pid]; saved != nil {
		was, open = *saved, true
	} else if l.leases[pid] != held {
		open = false // another client was quicker
	}
	seen, known := l.seenLocked(offset, was.from)
	if !open || !known {
		l.mu.Unlock()
		return Snapshot{}, nil, false
	}
	delete(l.saved, pid)
	was.Rooms = slices.Clone(was.Rooms)
	lease := &hubLease{log: l, by: by, pid: pid, holder: h, from: was.from, rooms: was.Rooms, seen: seen}
	l.leases[pid] = lease
	l.mu.Unlock()
	if held != nil {
		held.holder.Displaced()
	}
	return was.Snapshot, lease, true
}

// seenLocked returns the number of the last event that a client has seen. It returns false if the
// log may lack events after that one.
func (l *hubLog) seenLocked(offset string, began int64) (number int64, known bool) {
	number = began
	if offset != "" {
		var ok bool
		if number, ok = parseHubOffset(offset); !ok || number > l.last {
			return 0, false
		}
		number = max(number, began)
	}
	return number, number >= l.dropped
}

func (l *hubLog) missed(seen int64, rooms []string) (missed []packet.Payload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i, _ := slices.BinarySearchFunc(l.events, seen+1, func(e hubEvent, n int64) int { return cmp.Compare(e.number, n) })
	for _, e := range l.events[i:] {
		if e.Selects(rooms) {
			missed = append(missed, WithOffset(e.Data, e.Offset))
		}
	}
	return missed
}

// expire drops what is too old, and reports the snapshots. It runs when one is.
func (l *hubLog) expire() {
	l.mu.Lock()
	l.expireLocked(time.Now())
	lost := l.lost
	l.lost = nil
	l.mu.Unlock()
	for _, s := range lost {
		s.by.away(s.Snapshot)
	}
}

// expireLocked drops snapshots and events that are older than a client may be away.
func (l *hubLog) expireLocked(now time.Time) {
	old := now.Add(-l.away)
	for len(l.leaving) > 0 && l.leaving[0].at.Before(old) {
		if s := l.leaving[0]; l.saved[s.PID] == s {
			delete(l.saved, s.PID)
			l.lost = append(l.lost, s)
		}
		l.leaving = l.leaving[1:]
	}
	for len(l.events) > 0 && l.events[0].at.Before(old) {
		l.dropLocked()
	}
}

// dropLocked drops the oldest event.
func (l *hubLog) dropLocked() {
	e := l.events[0]
	l.bytes -= hubSize(e.Broadcast)
	l.dropped = e.number
	l.events[0] = hubEvent{}
	l.events = l.events[1:]
}

// hubLease implements Lease.
type hubLease struct {
	log    *hubLog
	by     hubRecoverer
	pid    string
	holder Holder
	from   int64

	// Of a client that came back:
	rooms []string
	seen  int64
}

// Enter implements Lease. It takes its turn, so nothing is delivered while f runs.
func (t *hubLease) Enter(_ context.Context, f func(missed []packet.Payload) bool) {
	entered := make(chan struct{})
	t.log.inTurn(func() {
		defer close(entered)
		var missed []packet.Payload
		if t.rooms != nil {
			missed = t.log.missed(t.seen, t.rooms)
		}
		f(missed)
	})
	<-entered
}

// Changed implements Lease. Resume asks for the present state.
func (t *hubLease) Changed() {}

// Left implements Lease.
func (t *hubLease) Left(was Snapshot) {
	l := t.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leases[t.pid] != t {
		return // another server has the socket
	}
	delete(l.leases, t.pid)
	now := time.Now()
	saved := &hubSnapshot{was, now, t.from, t.by}
	l.saved[t.pid] = saved
	l.leaving = append(l.leaving, saved)
	l.expireLocked(now)
	time.AfterFunc(l.away+time.Millisecond, l.expire)
}

// End implements Lease.
func (t *hubLease) End() {
	l := t.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leases[t.pid] == t {
		delete(l.leases, t.pid)
	}
}

// hubOffset is the offset of an event. No other string of an app looks like it by chance.
func hubOffset(number int64) string { return "hub-" + strconv.FormatInt(number, 10) }

func parseHubOffset(offset string) (int64, bool) {
	if len(offset) < 5 || offset[:4] != "hub-" {
		return 0, false
	}
	number, err := strconv.ParseInt(offset[4:], 10, 64)
	return number, err == nil && number >= 0
}

// hubSize returns the number of bytes of an event in the log.
func hubSize(b *Broadcast) int {
	n := len(b.Data.JSON)
	for _, a := range b.Data.Attachments {
		n += len(a)
	}
	return n
}
