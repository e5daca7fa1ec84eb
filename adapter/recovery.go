package adapter

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

const (
	missedAtOnce = 500             // entries of one read for a client that came back
	catchUp      = 5 * time.Second // how long such a client waits for this process to have read what it has seen
	catchUpTries = 5
	takeTries    = 5 // each but the first because the owner has written meanwhile
)

// streamNamespace is what a server gets for a namespace over streams.
type streamNamespace struct{ *namespace }

var _ cluster.RecoveringAdapter = streamNamespace{}

// Recover implements cluster.RecoveringAdapter.
func (s streamNamespace) Recover(maxDisconnection time.Duration, maxBytes int) cluster.Recoverer {
	t := s.talk.(*streamTalk)
	rec := &recovery{n: s.namespace, talk: t, form: t.form, stream: t.form.reader.streams[t.stream], maxDisconnection: maxDisconnection,
		tenures: make(map[string]*tenure)}
	rec.line = lineup{turn: &rec.stream.turn, deliver: s.local.Deliver}
	rec.stream.turn.Lock()
	rec.stream.tail.on = true
	rec.stream.tail.maxBytes = max(rec.stream.tail.maxBytes, maxBytes)
	rec.stream.turn.Unlock()
	t.recovery.Store(rec)
	return rec
}

// Close implements cluster.Adapter.
func (s streamNamespace) Close() error {
	if rec := s.talk.(*streamTalk).recovery.Load(); rec != nil {
		rec.line.close()
	}
	return s.namespace.Close()
}

// recovery is connection state recovery in one namespace.
type recovery struct {
	n      *namespace
	talk   *streamTalk
	form   *streams
	stream *stream
	line   lineup

	maxDisconnection time.Duration

	mu      sync.Mutex
	tenures map[string]*tenure // by pid, of the sockets here
}

var _ cluster.Recoverer = (*recovery)(nil)

// Emit implements cluster.Recoverer: the stream is the log.
func (rec *recovery) Emit(b *cluster.Broadcast) error {
	m, err := rec.talk.broadcast(b)
	if err != nil {
		return err
	}
	wait := patience
	if !rec.n.r.up.Load() {
		wait = atOnce
	}
	return rec.line.emit(b, m.payload, wait, func() error { return rec.n.publish(m, false) })
}

// After implements cluster.Recoverer.
func (rec *recovery) After(f func()) { rec.line.after(f) }

// Begin implements cluster.Recoverer.
func (rec *recovery) Begin(pid string, h cluster.Holder) cluster.Lease {
	rec.stream.turn.Lock()
	from := rec.stream.at
	rec.stream.turn.Unlock()
	return rec.begin(&tenure{rec: rec, pid: pid, holder: h, from: from})
}

// begin notes who has the session here. Who had it before has no client any more.
func (rec *recovery) begin(t *tenure) *tenure {
	rec.mu.Lock()
	before := rec.tenures[t.pid]
	rec.tenures[t.pid] = t
	rec.mu.Unlock()
	if before != nil {
		before.displace()
	}
	return t
}

// taken is told that another server has the session.
func (rec *recovery) taken(pid string) {
	rec.mu.Lock()
	t := rec.tenures[pid]
	rec.mu.Unlock()
	if t != nil {
		t.displace()
	}
}

func (rec *recovery) forget(t *tenure) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.tenures[t.pid] == t {
		delete(rec.tenures, t.pid)
	}
}

func (rec *recovery) all() []*tenure {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	all := make([]*tenure, 0, len(rec.tenures))
	for _, t := range rec.tenures {
		all = append(all, t)
	}
	return all
}

// Resume implements cluster.Recoverer. The session is taken last: what fails before leaves it for another try.
func (rec *recovery) Resume(ctx context.Context, pid, seen string, h cluster.Holder) (cluster.Snapshot, cluster.Lease, bool) {
	session, t, outcome := rec.resume(ctx, pid, seen, h)
	rec.n.r.metrics.recoveries.WithLabelValues(outcome).Inc()
	if outcome != recovered {
		return cluster.Snapshot{}, nil, false
	}
	return session, t, true
}

func (rec *recovery) resume(ctx context.Context, pid, seen string, h cluster.Holder) (was cluster.Snapshot, t *tenure, outcome string) {
	if len(pid) > wire.MostSessionID {
		return was, nil, unknown
	}
	owner := ""
	for try := range takeTries {
		text, stored, outcome := rec.look(ctx, pid)
		switch {
		case outcome == unknown && try == 0 && rec.storedSince(ctx, pid):
			text, stored, outcome = rec.look(ctx, pid)
		case outcome == "" && try > 0 && stored.Owner != "" && stored.Owner != owner:
			outcome = taken
		}
		if outcome != "" {
			return was, nil, outcome
		}
		owner = stored.Owner
		if was, t, outcome = rec.claim(ctx, text, stored, seen, h); outcome != taken {
			return was, t, outcome
		}
		// The server that the client left has stored the session anew: as a rule because it has
		// just noticed that.
	}
	return was, nil, taken
}

// look reads a session.
func (rec *recovery) look(ctx context.Context, pid string) (text string, stored wire.Session, outcome string) {
	if rec.n.r.known.Load() && !rec.n.r.up.Load() {
		return "", stored, away
	}
	text, err := rec.n.r.conn.Client().Get(ctx, rec.key(pid)).Result()
	switch {
	case err == redis.Nil:
		return "", stored, unknown
	case err != nil:
		return "", stored, away
	case len(text) > rec.n.r.cfg.MaxMessageBytes:
		return "", stored, malformed
	}
	stored, err = wire.ParseSession(text)
	switch {
	case err != nil || stored.PID != pid:
		return "", stored, malformed
	case stored.Namespace != "" && stored.Namespace != rec.n.name:
		return "", stored, foreign
	}
	return text, stored, ""
}

// storedSince tells whether this process has just stored a session that Redis did not have: a
// client that comes back to the server that it left may be quicker.
func (rec *recovery) storedSince(ctx context.Context, pid string) bool {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	return rec.form.keeper.settled(ctx, pid)
}

// claim takes a session that stands in Redis as text, with what its client missed since it had seen
// an event.
func (rec *recovery) claim(ctx context.Context, text string, stored wire.Session, seen string, h cluster.Holder) (was cluster.Snapshot, t *tenure, outcome string) {
	was, err := readSession(stored)
	if err != nil {
		return was, nil, malformed
	}
	t = &tenure{rec: rec, pid: stored.PID, holder: h, epoch: stored.Epoch, rooms: was.Rooms, back: true, named: stored.Namespace != ""}
	was.Unproven = !t.named
	var known bool
	if t.from, known = parseOffset(stored.From); !known && seen == "" {
		return was, nil, unknown // one of Node's: nobody knows where it began
	}
	if t.seen, outcome = rec.seenBy(ctx, seen, t.from, known); outcome != "" {
		return was, nil, outcome
	}
	if !t.catchUp(ctx) {
		return was, nil, gone
	}
	if outcome = t.take(ctx, text, was); outcome != recovered {
		return was, nil, outcome
	}
	rec.begin(t)
	if stored.Owner != "" && stored.Owner != rec.n.uid {
		rec.tellOwner(stored.Owner, stored.PID)
	}
	return was, t, recovered
}

// seenBy is the place in the stream up to which a client has seen all that was for it: what it
// says, if the stream still has that, or when it has seen nothing the place where it began. A
// client may know of an event before that, from another session or from another namespace; what was
// said then was not for it.
func (rec *recovery) seenBy(ctx context.Context, says string, began offset, known bool) (offset, string) {
	o := began
	if says != "" {
		var ok bool
		if o, ok = parseOffset(says); !ok {
			return o, unknown
		}
		if known && began.after(o) {
			says, o = "", began
		}
	}
	rec.stream.turn.Lock()
	was, read := rec.stream.tail.has(o)
	if says == "" && read {
		was = true // it need not be the place of an entry that was kept
	}
	rec.stream.turn.Unlock()
	if !read && o != (offset{}) {
		found, err := rec.n.r.conn.Client().XRangeN(ctx, rec.stream.name, o.String(), o.String(), 1).Result()
		if err != nil {
			return o, away
		}
		was = len(found) > 0
	}
	switch {
	case !was && !read && o == offset{}:
		return o, gone
	case !was && rec.ahead(ctx, o): // this process has not read so far yet
		return o, ""
	case !was:
		return o, gone
	}
	return o, ""
}

// ahead tells whether the stream has an entry that this process has not read yet.
func (rec *recovery) ahead(ctx context.Context, o offset) bool {
	rec.stream.turn.Lock()
	ahead := o.after(rec.stream.at)
	rec.stream.turn.Unlock()
	if !ahead {
		return false
	}
	found, err := rec.n.r.conn.Client().XRangeN(ctx, rec.stream.name, o.String(), o.String(), 1).Result()
	return err == nil && len(found) > 0 && rec.stream.wait(ctx, o, catchUp)
}

// tellOwner has the server that had the session let go of the connection, if it is still there.
func (rec *recovery) tellOwner(uid, pid string) {
	if msg, err := wire.AppendTaken(nil, rec.n.uid, rec.n.name, pid); err == nil {
		_ = rec.n.publish(message{channel: rec.talk.answersTo(uid), payload: msg}, true)
	}
}

func (rec *recovery) key(pid string) string { return rec.form.cfg.SessionKeyPrefix + pid }

// missed is what an entry says to a client that was away and in rooms.
func (rec *recovery) missed(e *wire.Entry, at offset, rooms []string) (packet.Payload, bool) {
	if e.Namespace != rec.n.name || e.Type != broadcastType {
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
