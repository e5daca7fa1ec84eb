package streams

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

const (
	missedAtOnce = 500             // entries of one read for a client that came back
	catchUp      = 5 * time.Second // how long such a client waits for this process to read what the client has seen
	catchUpTries = 5
	takeTries    = 5 // more than one because the owner may write meanwhile
)

// Recover implements cluster.RecoveringAdapter.
func (n *namespace) Recover(maxDisconnection time.Duration, maxBytes int, gone func(cluster.Snapshot)) cluster.Recoverer {
	rec := &recovery{
		namespace: n, stream: n.form.reader.streams[n.stream], maxDisconnection: maxDisconnection, leases: make(map[string]*lease), gone: gone,
	}
	rec.inFlight = inFlight{
		turn: &rec.stream.turn, at: func() offset { return rec.stream.at }, uid: n.UID, deliver: n.Local.Deliver, patient: n.form.patient,
	}
	rec.stream.turn.Lock()
	rec.stream.tail.on = true
	rec.stream.tail.maxBytes = max(rec.stream.tail.maxBytes, maxBytes)
	rec.stream.turn.Unlock()
	n.recovery.Store(rec)
	return rec
}

// recovery is connection state recovery in one namespace.
type recovery struct {
	namespace *namespace
	stream    *stream
	inFlight  inFlight

	maxDisconnection time.Duration
	gone             func(cluster.Snapshot)

	mu     sync.Mutex
	leases map[string]*lease // by pid, of the sockets here
	left   []departure       // oldest first
}

var _ cluster.Recoverer = (*recovery)(nil)

// How a client's return ended: values of the label outcome. The others are link.Away and
// link.Malformed.
const (
	recovered = "recovered"
	unknown   = "unknown" // no such snapshot
	gone      = "gone"    // the stream no longer has all that the client missed
	taken     = "taken"   // another server was quicker
	foreign   = "foreign" // the snapshot is of another namespace
)

func (rec *recovery) form() *Form { return rec.namespace.form }

// Emit implements cluster.Recoverer: the stream is the log.
func (rec *recovery) Emit(b *cluster.Broadcast) error {
	if err := rec.namespace.Fits(b.Data); err != nil {
		return err
	}
	m, err := rec.namespace.EncodeBroadcast(b)
	if err != nil {
		return err
	}
	rec.form().noteSize(rec.namespace, b, len(m.Payload))
	wait := rec.inFlight.patient
	if !rec.form().Hears() {
		wait = atOnce
	}
	return rec.inFlight.emit(b, m.Payload, wait, func() error { return rec.namespace.Publish(m, false) })
}

// After implements cluster.Recoverer.
func (rec *recovery) After(f func()) { rec.inFlight.after(f) }

// Begin implements cluster.Recoverer.
func (rec *recovery) Begin(pid string, h cluster.Holder) cluster.Lease {
	rec.stream.turn.Lock()
	from := rec.stream.at
	rec.stream.turn.Unlock()
	return rec.begin(&lease{rec: rec, pid: pid, holder: h, from: from})
}

// begin notes the lease. The lease before it has no client any more.
func (rec *recovery) begin(l *lease) *lease {
	rec.mu.Lock()
	before := rec.leases[l.pid]
	rec.leases[l.pid] = l
	rec.mu.Unlock()
	if before != nil {
		before.displace()
	}
	return l
}

// receiveTaken handles the news that another server took a snapshot of ours over.
func (n *namespace) receiveTaken(channel string, c *wire.Cluster) (kept bool, err error) {
	if n == nil || channel != n.Own {
		return false, wire.ErrMalformed
	}
	if rec := n.recovery.Load(); rec != nil {
		rec.taken(c.PID())
	}
	return true, nil
}

func (rec *recovery) taken(pid string) {
	rec.mu.Lock()
	l := rec.leases[pid]
	rec.mu.Unlock()
	if l != nil {
		l.displace()
	}
}

func (rec *recovery) forget(l *lease) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.leases[l.pid] == l {
		delete(rec.leases, l.pid)
	}
}

func (rec *recovery) all() []*lease {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	all := make([]*lease, 0, len(rec.leases))
	for _, l := range rec.leases {
		all = append(all, l)
	}
	return all
}

// Resume implements cluster.Recoverer. It takes the snapshot last, so a failure before that leaves
// it for another try.
func (rec *recovery) Resume(ctx context.Context, pid, seen string, h cluster.Holder) (cluster.Snapshot, cluster.Lease, bool) {
	session, l, outcome := rec.resume(ctx, pid, seen, h)
	rec.form().recoveries.WithLabelValues(outcome).Inc()
	if outcome != recovered {
		return cluster.Snapshot{}, nil, false
	}
	return session, l, true
}

func (rec *recovery) resume(ctx context.Context, pid, seen string, h cluster.Holder) (was cluster.Snapshot, l *lease, outcome string) {
	if len(pid) > wire.MaxSnapshotID {
		return was, nil, unknown
	}
	owner := ""
	for try := range takeTries {
		text, stored, outcome := rec.read(ctx, pid)
		switch {
		case outcome == unknown && try == 0 && rec.storedSince(ctx, pid):
			text, stored, outcome = rec.read(ctx, pid)
		case outcome == "" && try > 0 && stored.Owner != "" && stored.Owner != owner:
			outcome = taken
		}
		if outcome != "" {
			return was, nil, outcome
		}
		owner = stored.Owner
		if was, l, outcome = rec.claim(ctx, text, stored, seen, h); outcome != taken {
			return was, l, outcome
		}
		// The server that the client left has stored the snapshot again, usually because it has
		// just noticed that the client left.
	}
	return was, nil, taken
}

// read reads a snapshot.
func (rec *recovery) read(ctx context.Context, pid string) (text string, stored wire.Snapshot, outcome string) {
	if rec.form().Lost() {
		return "", stored, link.Away
	}
	text, err := rec.form().Conn.Client().Get(ctx, rec.key(pid)).Result()
	switch {
	case err == redis.Nil:
		return "", stored, unknown
	case err != nil:
		return "", stored, link.Away
	case len(text) > rec.form().Config.MaxMessageBytes:
		return "", stored, link.Malformed
	}
	stored, err = wire.ParseSnapshot(text)
	switch {
	case err != nil || stored.PID != pid:
		return "", stored, link.Malformed
	case stored.Namespace != "" && stored.Namespace != rec.namespace.Name:
		return "", stored, foreign
	}
	return text, stored, ""
}

// storedSince reports whether this process has just stored a snapshot that Redis didn't have. A
// client that comes back to the server that it left may be quicker than the snapshot.
func (rec *recovery) storedSince(ctx context.Context, pid string) bool {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	return rec.form().snapshots.settled(ctx, pid)
}

// claim takes over a snapshot that Redis has as text, with the events that its client missed since
// it saw one.
func (rec *recovery) claim(ctx context.Context, text string, stored wire.Snapshot, seen string, h cluster.Holder) (was cluster.Snapshot, l *lease, outcome string) {
	was = snapshotOf(stored)
	l = &lease{rec: rec, pid: stored.PID, holder: h, epoch: stored.Epoch, rooms: was.Rooms, back: true, named: stored.Namespace != ""}
	was.Unproven = !l.named
	var known bool
	if l.from, known = parseOffset(stored.From); !known && seen == "" {
		return was, nil, unknown // Node's: nobody knows where it began
	}
	if l.seen, outcome = rec.seenBy(ctx, seen, l.from, known); outcome != "" {
		return was, nil, outcome
	}
	if !l.catchUp(ctx) {
		return was, nil, gone
	}
	if outcome = l.take(ctx, text, was); outcome != recovered {
		return was, nil, outcome
	}
	rec.begin(l)
	if stored.Owner != "" && stored.Owner != rec.namespace.UID {
		rec.tellOwner(stored.Owner, stored.PID)
	}
	return was, l, recovered
}

// seenBy returns the place in the stream up to which a client has seen all of its events. That is
// the place that the client names, if the stream still has it. For a client that has seen nothing
// it is the place where the client began. A client may also name an earlier place, which it knows
// from another socket or namespace; the events there were not for it.
func (rec *recovery) seenBy(ctx context.Context, says string, began offset, known bool) (seen position, outcome string) {
	seen.offset = began
	if says != "" {
		var ok bool
		if seen, ok = parsePosition(says); !ok {
			return seen, unknown
		}
		if known && !seen.after(began) { // the stream need not have an entry where the client began
			says, seen.offset = "", began
		}
	}
	return seen, rec.kept(ctx, says, seen.offset)
}

// kept returns no outcome if the stream still has the entry at o, which a client named unless says
// is empty.
func (rec *recovery) kept(ctx context.Context, says string, o offset) (outcome string) {
	rec.stream.turn.Lock()
	was, read := rec.stream.tail.has(o)
	if says == "" && read {
		was = true // the tail may not have an entry at this very place
	}
	rec.stream.turn.Unlock()
	if !read && o != (offset{}) {
		found, err := rec.form().Conn.Client().XRangeN(ctx, rec.stream.name, o.String(), o.String(), 1).Result()
		if err != nil {
			return link.Away
		}
		was = len(found) > 0
	}
	switch {
	case !was && !read && o == offset{}:
		return gone
	case !was && rec.ahead(ctx, o): // this process has not read so far yet
		return ""
	case !was:
		return gone
	}
	return ""
}

// ahead reports whether the stream has an entry at o that this process hasn't read yet, and waits
// for it.
func (rec *recovery) ahead(ctx context.Context, o offset) bool {
	rec.stream.turn.Lock()
	ahead := o.after(rec.stream.at)
	rec.stream.turn.Unlock()
	if !ahead {
		return false
	}
	found, err := rec.form().Conn.Client().XRangeN(ctx, rec.stream.name, o.String(), o.String(), 1).Result()
	return err == nil && len(found) > 0 && rec.stream.wait(ctx, o, catchUp)
}

// tellOwner makes the server that had the snapshot close the connection, if that server is still
// there.
func (rec *recovery) tellOwner(uid, pid string) {
	if msg, err := wire.AppendTaken(nil, rec.namespace.UID, rec.namespace.Name, pid); err == nil {
		_ = rec.namespace.Publish(link.Message{Channel: rec.namespace.AnswerChannel(uid), Payload: msg}, true)
	}
}

func (rec *recovery) key(pid string) string { return rec.form().cfg.SessionKeyPrefix + pid }

// missed returns the event of an entry, if it is for a client in rooms that was away.
func (rec *recovery) missed(e *wire.Entry, at offset, rooms []string) (packet.Payload, bool) {
	if e.Namespace != rec.namespace.Name || e.Type != broadcastType {
		return packet.Payload{}, false
	}
	c, err := e.Parse()
	if err != nil || !c.Recoverable() {
		return packet.Payload{}, false
	}
	o, err := c.Options()
	if err != nil || !(&cluster.Target{Rooms: o.Rooms, Except: o.Except}).Selects(rooms) {
		return packet.Payload{}, false
	}
	p, err := c.Payload()
	if err != nil {
		return packet.Payload{}, false
	}
	return cluster.WithOffset(p, at.String()), true
}

// recoveryTrials try the commands of recovery on a snapshot that nobody has.
func (f *Form) recoveryTrials(stream string) []link.Trial {
	key := f.cfg.SessionKeyPrefix + "check-" + link.NewID(12)
	return []link.Trial{
		link.TryCommand("XRANGE of "+stream, stream, "XRANGE", stream, "0-1", "0-1", "COUNT", 1),
		link.TryCommand("GET of "+key, key, "GET", key),
		link.TryCommand("SET of "+key, key, "SET", key, "", "XX", "PX", 1),
		link.TryCommand("DEL of "+key, key, "DEL", key),
		link.TryCommand("PEXPIRE of "+key, key, "PEXPIRE", key, 1),
		{Command: "EVAL on " + key, NodeKey: key, Try: func(ctx context.Context, node *redis.Client) error {
			return swap.Eval(ctx, node, []string{key}, "", 1, "no value's").Err()
		}},
	}
}
