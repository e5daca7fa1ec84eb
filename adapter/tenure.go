package adapter

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// tenure is the time during which a socket here has a session.
type tenure struct {
	rec    *recovery
	pid    string
	holder cluster.Holder
	from   offset // before all that the socket was ever sent

	// of a client that came back, until it has entered
	back  bool
	rooms []string
	seen  offset           // what follows is in missed, up to read
	read  offset           //
	away  []packet.Payload // missed, as far as this process did not have it

	// under keeper.mu
	epoch  int
	hash   string   // of the value in Redis; empty: there is none of ours
	unsure []string // of those that may be there instead
	queued bool
	open   bool // the socket is here
	over   bool // nothing is stored any more
	last   *cluster.Snapshot
	ended  bool // the session is to be deleted
	named  bool // the session is of this namespace for certain: it began here, or the middlewares let its client in
}

var _ cluster.Lease = (*tenure)(nil)

// catchUp reads what a client missed, as far as this process has not kept it.
func (t *tenure) catchUp(ctx context.Context) bool {
	if t.read == (offset{}) {
		t.read = t.seen
	}
	client, st := t.rec.n.r.conn.Client(), t.rec.stream
	for {
		st.turn.Lock()
		_, ok := st.tail.after(t.read)
		st.turn.Unlock()
		if ok {
			return true
		}
		batch, err := client.XRangeN(ctx, st.name, "("+t.read.String(), "+", missedAtOnce).Result()
		if err != nil || len(batch) == 0 {
			return false
		}
		for _, m := range batch {
			at, ok := parseOffset(m.ID)
			if !ok {
				return false
			}
			t.read = at
			e := entryOfValues(m.Values)
			if p, ok := t.rec.missed(&e, at, t.rooms); ok {
				t.away = append(t.away, p)
			}
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
func (t *tenure) Enter(f func([]packet.Payload) bool) {
	t.enter(f)
	k := t.rec.form.keeper
	k.mu.Lock()
	late := t.open && t.over // another server took the session while middlewares ran
	k.mu.Unlock()
	if late {
		t.holder.Displaced()
	}
}

func (t *tenure) enter(f func([]packet.Payload) bool) {
	if !t.back {
		if f(nil) {
			t.opened()
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), catchUp)
	defer cancel()
	for range catchUpTries { // the tail may have moved on while middlewares ran
		if t.tryEnter(f) {
			return
		}
		if !t.catchUp(ctx) {
			break
		}
	}
	t.rec.n.r.log.Warn().Str("namespace", t.rec.n.name).Msg("a client came back, and something that it missed is gone")
	t.rec.stream.turn.Lock()
	defer t.rec.stream.turn.Unlock()
	t.entered(f, t.away)
}

func (t *tenure) tryEnter(f func([]packet.Payload) bool) bool {
	st := t.rec.stream
	st.turn.Lock()
	defer st.turn.Unlock()
	rest, ok := st.tail.after(t.read)
	if !ok {
		return false
	}
	missed := t.away
	for i := range rest {
		if p, ok := t.rec.missed(&rest[i].Entry, rest[i].at, t.rooms); ok {
			missed = append(missed, p)
		}
	}
	t.entered(f, append(missed, t.rec.line.missedLate(t.rooms)...))
	return true
}

func (t *tenure) entered(f func([]packet.Payload) bool, missed []packet.Payload) {
	if f(missed) {
		t.opened()
	}
	t.away, t.rooms = nil, nil
}

func (t *tenure) opened() {
	k := t.rec.form.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	t.open, t.named = true, true
	k.queueLocked(t)
}

// Changed implements cluster.Lease.
func (t *tenure) Changed() {
	k := t.rec.form.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.open {
		k.queueLocked(t)
	}
}

// Left implements cluster.Lease.
func (t *tenure) Left(was cluster.Snapshot) { t.leave(&was) }

// End implements cluster.Lease.
func (t *tenure) End() { t.leave(nil) }

func (t *tenure) leave(was *cluster.Snapshot) {
	t.rec.forget(t)
	k := t.rec.form.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if t.last != nil || t.ended {
		return
	}
	t.open, t.last, t.ended = false, was, was == nil
	if t.hash != "" || t.unsure != nil || was != nil || k.moving[t.pid] > 0 {
		k.queueLocked(t)
	}
}

// displace ends the tenure of a socket whose client is elsewhere.
func (t *tenure) displace() {
	t.rec.forget(t)
	k := t.rec.form.keeper
	k.mu.Lock()
	open := t.open
	t.open, t.over = false, true
	k.mu.Unlock()
	if open {
		t.holder.Displaced()
	}
}

// swap is the one script that writes sessions: a value, or nothing, takes the place of one whose SHA-1 is known, so that
// of all who believe to have a session one does.
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

// take makes the session that is in Redis as text ours.
func (t *tenure) take(ctx context.Context, text string, was cluster.Snapshot) (outcome string) {
	t.epoch++
	value, err := t.encode(was, t.rec.n.uid, t.named)
	if err != nil {
		return malformed
	}
	n, err := swap.Eval(ctx, t.rec.n.r.conn.Client(), []string{t.rec.key(t.pid)},
		value, t.rec.life().Milliseconds(), hashOf([]byte(text))).Int()
	switch {
	case err != nil:
		return away
	case n != 1:
		return taken
	}
	t.hash = hashOf(value)
	return recovered
}

// life is how long a session stays that is not renewed: its owner was killed then.
func (rec *recovery) life() time.Duration { return rec.maxDisconnection + rec.renewal() }

// renewal is how often sessions are renewed.
func (rec *recovery) renewal() time.Duration { return rec.maxDisconnection / 2 }

func (t *tenure) encode(s cluster.Snapshot, owner string, named bool) ([]byte, error) {
	data, err := packet.EncodeArgs(s.Data)
	if err != nil {
		return nil, err
	}
	stored := wire.Session{ID: s.ID, PID: s.PID, Rooms: s.Rooms, Data: data.Single(), Owner: owner, Epoch: t.epoch, From: t.from.String()}
	if named {
		stored.Namespace = t.rec.n.name
	}
	return wire.AppendSession(nil, stored)
}

var errData = errors.New("adapter: data of a session is no object")

func readSession(s wire.Session) (cluster.Snapshot, error) {
	was := cluster.Snapshot{ID: s.ID, PID: s.PID, Rooms: s.Rooms}
	args, err := packet.ParseArgs(append(append([]byte{'['}, s.Data.JSON...), ']'), len(s.Data.Attachments))
	if err != nil {
		return was, err
	}
	args = args.With(s.Data.Attachments)
	if err := args.Decode(0, &was.Data); err != nil {
		return was, errors.Join(errData, err)
	}
	return was, nil
}
