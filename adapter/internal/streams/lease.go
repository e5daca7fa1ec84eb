package streams

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// lease is the time during which a socket here owns a snapshot.
type lease struct {
	rec    *recovery
	pid    string
	holder cluster.Holder
	from   offset // before all events that the socket was ever sent

	// Of a client that came back, until it has entered:
	back   bool
	rooms  []string
	seen   position // the events after it, up to read, are in missed
	read   offset
	missed replay // up to read, as far as this process didn't have it

	// Guarded by snapshots.mu:
	epoch  int
	hash   string   // of our value in Redis; empty if there is none
	unsure []string // of our values that may be there instead
	queued bool
	open   bool // the socket is here
	over   bool // nothing is stored any more
	last   *cluster.Snapshot
	ended  bool // the snapshot must be deleted
	named  bool // the snapshot is certainly of this namespace: it began here, or the middlewares let its client in
}

var _ cluster.Lease = (*lease)(nil)

// catchUp reads from Redis the missed entries that the tail doesn't have.
func (l *lease) catchUp(ctx context.Context) bool {
	if l.read == (offset{}) {
		l.read, l.missed.mark = l.seen.offset, l.seen.mark
	}
	client, st := l.rec.form().Conn.Client(), l.rec.stream
	for {
		st.turn.Lock()
		_, ok := st.tail.after(l.read)
		st.turn.Unlock()
		if ok {
			return true
		}
		batch, err := client.XRangeN(ctx, st.name, "("+l.read.String(), "+", missedAtOnce).Result()
		if err != nil || len(batch) == 0 {
			return false
		}
		for _, m := range batch {
			at, ok := parseOffset(m.ID)
			if !ok {
				return false
			}
			l.read = at
			e := entryOfValues(m.Values)
			event, wanted := l.rec.missed(&e, at, l.rooms)
			l.missed.add(&e, event, wanted)
		}
	}
}

func entryOfValues(values map[string]any) (e wire.Entry) {
	e.UID, _ = values[wire.FieldUID].(string)
	e.Namespace, _ = values[wire.FieldNamespace].(string)
	e.Type, _ = values[wire.FieldType].(string)
	e.Data, _ = values[wire.FieldData].(string)
	return e
}

// Enter implements cluster.Lease.
func (l *lease) Enter(ctx context.Context, f func([]packet.Payload) bool) {
	l.enter(ctx, f)
	s := l.rec.form().snapshots
	s.mu.Lock()
	displaced := l.open && l.over // another server took the snapshot while middlewares ran
	s.mu.Unlock()
	if displaced {
		l.holder.Displaced()
	}
}

func (l *lease) enter(ctx context.Context, f func([]packet.Payload) bool) {
	if !l.back {
		if f(nil) {
			l.opened()
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	for range catchUpTries { // the tail may have moved on while middlewares ran
		if l.tryEnter(f) {
			return
		}
		if !l.catchUp(ctx) {
			break
		}
	}
	if !errors.Is(ctx.Err(), context.Canceled) { // else the client has left again
		l.rec.form().Log.Warn("a client came back, but some events that it missed are gone", "namespace", l.rec.namespace.Name)
	}
	l.rec.stream.turn.Lock()
	defer l.rec.stream.turn.Unlock()
	l.entered(f, l.missed.events())
}

func (l *lease) tryEnter(f func([]packet.Payload) bool) bool {
	st := l.rec.stream
	st.turn.Lock()
	defer st.turn.Unlock()
	rest, ok := st.tail.after(l.read)
	if !ok {
		return false
	}
	missed := l.missed
	for i := range rest {
		event, wanted := l.rec.missed(&rest[i].Entry, rest[i].at, l.rooms)
		missed.add(&rest[i].Entry, event, wanted)
	}
	l.entered(f, append(missed.events(), l.rec.inFlight.missedEarly(l.rooms)...))
	return true
}

func (l *lease) entered(f func([]packet.Payload) bool, missed []packet.Payload) {
	if f(missed) {
		l.opened()
	}
	l.missed, l.rooms = replay{}, nil
}

func (l *lease) opened() {
	s := l.rec.form().snapshots
	s.mu.Lock()
	defer s.mu.Unlock()
	l.open, l.named = true, true
	s.queueLocked(l)
}

// Changed implements cluster.Lease.
func (l *lease) Changed() {
	s := l.rec.form().snapshots
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.open {
		s.queueLocked(l)
	}
}

// Left implements cluster.Lease.
func (l *lease) Left(was cluster.Snapshot) { l.leave(&was) }

// End implements cluster.Lease.
func (l *lease) End() { l.leave(nil) }

func (l *lease) leave(was *cluster.Snapshot) {
	l.rec.forget(l)
	s := l.rec.form().snapshots
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.last != nil || l.ended {
		return
	}
	l.open, l.last, l.ended = false, was, was == nil
	if l.hash != "" || l.unsure != nil || was != nil || s.moving[l.pid] > 0 {
		s.queueLocked(l)
	}
}

// displace ends the lease of a socket whose client is on another server.
func (l *lease) displace() {
	l.rec.forget(l)
	s := l.rec.form().snapshots
	s.mu.Lock()
	open := l.open
	l.open, l.over = false, true
	s.mu.Unlock()
	if open {
		l.holder.Displaced()
	}
}

// swap is the only script that writes snapshots. A value, or nothing, replaces a value whose SHA-1
// is known. So of all servers that believe to own a snapshot, one does.
var swap = redis.NewScript(`local v = redis.call('GET', KEYS[1])
if v then
  local h, known = redis.sha1hex(v), false
  for i = 3, #ARGV do known = known or h == ARGV[i] end
  if not known then return -1 end
elseif ARGV[3] ~= '' then
  return 0
end
if ARGV[1] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return 1`)

func hashOf(value []byte) string {
	if len(value) == 0 {
		return ""
	}
	sum := sha1.Sum(value)
	return hex.EncodeToString(sum[:])
}

// take makes the snapshot that Redis has as text ours.
func (l *lease) take(ctx context.Context, text string, was cluster.Snapshot) (outcome string) {
	l.epoch++
	value, err := l.encode(was, l.rec.namespace.UID, l.named)
	if err != nil {
		return link.Malformed
	}
	n, err := swap.Eval(ctx, l.rec.form().Conn.Client(), []string{l.rec.key(l.pid)},
		value, l.rec.life().Milliseconds(), hashOf([]byte(text))).Int()
	switch {
	case err != nil:
		return link.Away
	case n != 1:
		return taken
	}
	l.hash = hashOf(value)
	return recovered
}

// life is how long a snapshot stays that isn't renewed because its owner was killed.
func (rec *recovery) life() time.Duration { return rec.maxDisconnection + rec.renewal() }

// renewal is how often snapshots are renewed.
func (rec *recovery) renewal() time.Duration { return rec.maxDisconnection / 2 }

func (l *lease) encode(s cluster.Snapshot, owner string, named bool) ([]byte, error) {
	if len(s.Data.JSON) == 0 {
		s.Data.JSON = []byte("{}")
	}
	stored := wire.Snapshot{ID: s.ID, PID: s.PID, Rooms: s.Rooms, Data: s.Data, Owner: owner, Epoch: l.epoch, From: l.from.String()}
	if named {
		stored.Namespace = l.rec.namespace.Name
	}
	return wire.AppendSnapshot(nil, stored)
}

func snapshotOf(s wire.Snapshot) cluster.Snapshot {
	return cluster.Snapshot{ID: s.ID, PID: s.PID, Rooms: s.Rooms, Data: s.Data}
}
