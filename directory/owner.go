package directory

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// A decision says how an owner was found. The router's metric has the same values.
const (
	DecisionCache   = "cache"   // this router has seen the sid
	DecisionTable   = "table"   // the sid's key in Redis
	DecisionTag     = "tag"     // the worker id that the sid begins with
	DecisionUnknown = "unknown" // not found: any ready worker gives the protocol's answer
)

// maxSID is longer than any server's sids. The directory doesn't ask Redis for a longer one.
const maxSID = 256

const (
	learnWait    = 250 * time.Millisecond // a handshake's response waits this long for a stalled Redis
	taggedWait   = 250 * time.Millisecond // a look-up waits this long where the tag has an answer too
	untaggedWait = time.Second
	sidSlack     = 30 * time.Second
)

// Owner is the answer to the question who owns a session.
type Owner struct {
	// WorkerID is the owner's id. With DecisionUnknown it is the id of a worker that is gone, or
	// the one that the sid begins with, or empty.
	WorkerID string
	// Decision is one of the Decision constants.
	Decision string
	// Worker is the owner's record. The worker may be draining or lost. Worker is nil if, and only
	// if, Decision is DecisionUnknown.
	Worker *Worker
}

// EntryTTL returns the time that the key of a session lives in Redis, given the values of its open
// packet: the longest silence of its client, and 30 seconds. Learn raises it to Config.SIDTTL.
func EntryTTL(pingInterval, pingTimeout time.Duration) time.Duration {
	return pingInterval + pingTimeout + sidSlack
}

// finder answers who owns a session: from the cache, from Redis, or by the tag of the sid.
type finder struct {
	*app
	sids    *sids
	workers *follower
	lookups *lookups
}

func newFinder(a *app, s *sids, workers *follower) *finder {
	f := &finder{app: a, sids: s, workers: workers}
	f.lookups = newLookups(f.fetch, a.conn.Place)
	return f
}

// close waits for the look-ups under way.
func (f *finder) close() { f.lookups.close() }

// owner finds the owner of sid: see [Directory.Owner].
func (f *finder) owner(ctx context.Context, sid string) Owner {
	if id, ok := f.sids.cache.owner(sid, f.now()); ok {
		if w := f.worker(ctx, id, true); w != nil {
			return Owner{id, DecisionCache, w}
		}
		return Owner{WorkerID: id, Decision: DecisionUnknown}
	}
	tagged := f.workers.Workers().tagged(sid)
	if id := f.readOwner(ctx, sid, tagged == nil); id != "" {
		if w := f.worker(ctx, id, true); w != nil {
			return Owner{id, DecisionTable, w}
		}
		return Owner{WorkerID: id, Decision: DecisionUnknown}
	}
	if tagged == nil {
		tagged = f.newcomer(ctx, sid)
	}
	if tagged != nil {
		return Owner{tagged.ID, DecisionTag, tagged}
	}
	id, _ := workerOf(sid)
	return Owner{WorkerID: id, Decision: DecisionUnknown}
}

// newcomer returns the worker that sid begins with if the table doesn't have it yet. The sid's
// key may not be written yet, see Learn. It doesn't ask Redis while many look-ups wait, because
// events also announce new workers.
func (f *finder) newcomer(ctx context.Context, sid string) *Worker {
	if id, ok := workerOf(sid); ok && f.workers.Workers().Get(id) == nil {
		if w := f.worker(ctx, id, false); w != nil && w.Tags {
			return w
		}
	}
	return nil
}

// readOwner asks Redis for sid's owner and caches the answer. It returns "" if there is none, or
// no answer in time. A caller that isn't patient has another answer.
func (f *finder) readOwner(ctx context.Context, sid string, patient bool) string {
	if sid == "" || len(sid) > maxSID || !f.conn.Up() {
		return ""
	}
	wait := taggedWait
	if patient {
		wait = untaggedWait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	a := f.lookups.ask(ctx, f.keys.sid(sid), patient)
	if a.value == "" || len(a.value) > maxSID {
		return "" // not a valid id
	}
	ttl := f.sids.ttls.of(a.value, a.left)
	now := f.now()
	written := max(now-int64(ttl-a.left), 1) // when the key was set, by its remaining life
	f.sids.remember(sid, a.value, ttl, now, written)
	return a.value
}

// fetch asks Redis for keys and their remaining lives. It takes untaggedWait at most.
func (f *finder) fetch(keys []string) []answer {
	ctx, cancel := context.WithTimeout(context.Background(), untaggedWait)
	defer cancel()
	defer time.AfterFunc(taggedWait, f.conn.Doubt).Stop()
	all, gets, lefts := make([]answer, len(keys)), make([]*redis.StringCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	pipe, found := f.client.Pipeline(), f.client.Pipeline()
	for i, key := range keys {
		gets[i] = pipe.Get(ctx, key)
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	doubt := false
	for i, get := range gets {
		value, err := get.Result()
		switch {
		case err == nil:
			all[i] = answer{value: value, found: true, asked: true}
			lefts[i] = found.PTTL(ctx, keys[i])
		case errors.Is(err, redis.Nil), wrongType(err):
			all[i].asked = true
		default:
			doubt = true
		}
	}
	if found.Len() > 0 {
		_, _ = found.Exec(ctx)
	}
	for i, left := range lefts {
		if left == nil {
			continue
		}
		if all[i].left = max(left.Val(), 0); left.Err() != nil {
			all[i], doubt = answer{}, true
		}
	}
	if doubt {
		f.conn.Doubt()
	}
	return all
}

// worker returns the record of a worker that isn't gone. It reads the record of a worker that is
// too new for the table.
func (f *finder) worker(ctx context.Context, id string, patient bool) *Worker {
	if w := f.workers.Workers().Get(id); w != nil {
		return w
	}
	if !f.conn.Up() || f.workers.isGone(id) {
		return nil
	}
	stranger, version := f.workers.strangers.has(id)
	if stranger && !f.workers.deaf.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, taggedWait)
	defer cancel()
	a := f.lookups.ask(ctx, f.keys.worker(id), patient)
	if !a.asked {
		return nil
	}
	w, err := decodeWorker(a.value, id)
	if err != nil {
		f.workers.strangers.add(id, version)
		return nil
	}
	if f.workers.isGone(id) {
		return nil
	}
	f.workers.due.addAll()
	return w
}
