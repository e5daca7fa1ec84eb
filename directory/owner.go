package directory

import (
	"context"
	"errors"
	"sync"
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

// Owner finds the worker that owns sid. An answer from the cache takes less than 200 ns and
// allocates nothing. Otherwise Owner waits for Redis: at most 250 ms if the sid's tag has an answer
// too, else at most 1 second. The answer for an owner that is gone is DecisionUnknown.
func (d *Directory) Owner(ctx context.Context, sid string) Owner {
	if id, ok := d.cache.owner(sid, d.now()); ok {
		if w := d.worker(ctx, id, true); w != nil {
			return Owner{id, DecisionCache, w}
		}
		return Owner{WorkerID: id, Decision: DecisionUnknown}
	}
	tagged := d.taggedOwner(sid)
	if id := d.readOwner(ctx, sid, tagged == nil); id != "" {
		if w := d.worker(ctx, id, true); w != nil {
			return Owner{id, DecisionTable, w}
		}
		return Owner{WorkerID: id, Decision: DecisionUnknown}
	}
	if tagged == nil {
		tagged = d.newcomer(ctx, sid)
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
func (d *Directory) newcomer(ctx context.Context, sid string) *Worker {
	if id, ok := workerOf(sid); ok && d.Workers().Get(id) == nil {
		if w := d.worker(ctx, id, false); w != nil && w.Tags {
			return w
		}
	}
	return nil
}

// taggedOwner returns the worker that sid begins with, if it is known and tags its sids.
func (d *Directory) taggedOwner(sid string) *Worker {
	if id, ok := workerOf(sid); ok {
		if w := d.Workers().Get(id); w != nil && w.Tags {
			return w
		}
	}
	return nil
}

// readOwner asks Redis for sid's owner and caches the answer. It returns "" if there is none, or
// no answer in time. A caller that isn't patient has another answer.
func (d *Directory) readOwner(ctx context.Context, sid string, patient bool) string {
	if sid == "" || len(sid) > maxSID || !d.conn.Up() {
		return ""
	}
	wait := taggedWait
	if patient {
		wait = untaggedWait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	a := d.lookups.ask(ctx, d.keys.sid(sid), patient)
	if a.value == "" || len(a.value) > maxSID {
		return "" // not a valid id
	}
	ttl := d.ttls.of(a.value, a.left)
	now := d.now()
	written := max(now-int64(ttl-a.left), 1) // when the key was set, by its remaining life
	d.remember(sid, a.value, ttl, now, written)
	return a.value
}

// fetch asks Redis for keys and their remaining lives. It takes untaggedWait at most.
func (d *Directory) fetch(keys []string) []answer {
	ctx, cancel := context.WithTimeout(context.Background(), untaggedWait)
	defer cancel()
	defer time.AfterFunc(taggedWait, d.conn.Doubt).Stop()
	all, gets, lefts := make([]answer, len(keys)), make([]*redis.StringCmd, len(keys)), make([]*redis.DurationCmd, len(keys))
	pipe, found := d.client.Pipeline(), d.client.Pipeline()
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
		d.conn.Doubt()
	}
	return all
}

// worker returns the record of a worker that isn't gone. It reads the record of a worker that is
// too new for the table.
func (d *Directory) worker(ctx context.Context, id string, patient bool) *Worker {
	if w := d.Workers().Get(id); w != nil {
		return w
	}
	if !d.conn.Up() || d.isGone(id) {
		return nil
	}
	stranger, version := d.strangers.has(id)
	if stranger && !d.cut.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, taggedWait)
	defer cancel()
	a := d.lookups.ask(ctx, d.keys.worker(id), patient)
	if !a.asked {
		return nil
	}
	w, err := decodeWorker(a.value, id)
	if err != nil {
		d.strangers.add(id, version)
		return nil
	}
	if d.isGone(id) {
		return nil
	}
	d.lookAgain()
	return w
}

func (d *Directory) isGone(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	until, ok := d.roster.gone[id]
	return ok && time.Now().Before(until)
}

// Learn notes that workerID opened the session sid: in this process, and in Redis for other
// routers. It returns when any router can find the session: at once if the sid's tag names the
// worker, else when Redis has it, and after 250 ms at the latest. Then it writes the key as soon as
// Redis takes it. Ttl is [EntryTTL] of the open packet.
func (d *Directory) Learn(ctx context.Context, sid, workerID string, ttl time.Duration) {
	ttl = d.ttls.raise(workerID, ttl)
	d.remember(sid, workerID, ttl, d.now(), 0)
	wr := write{sid: sid, owner: workerID, ttl: ttl}
	if w := d.taggedOwner(sid); w != nil && w.ID == workerID {
		d.write(wr)
		return
	}
	wr.done = make(chan struct{})
	if !d.write(wr) {
		return
	}
	timer := time.NewTimer(learnWait)
	defer timer.Stop()
	select {
	case <-wr.done:
	case <-timer.C:
		d.conn.Doubt()
	case <-ctx.Done():
	}
}

func (d *Directory) remember(sid, id string, ttl time.Duration, now, written int64) {
	if d.cache.put(sid, id, ttl, now, written) {
		d.metrics.writes.WithLabelValues("dropped").Inc()
	}
}

// Touch notes that sid was used. Call it at the start and the end of each request. It renews the
// key in the background, at most once in a third of its TTL. It ignores a sid that isn't in the
// cache.
func (d *Directory) Touch(sid string) {
	if owner, ttl, due := d.cache.due(sid, d.now()); due {
		d.write(write{sid: sid, owner: owner, ttl: ttl})
	}
}

// longest stores the longest TTL of each worker's sids. A worker's sessions share its ping
// settings, so a router that has seen one handshake of a worker renews all of its sids correctly.
type longest struct {
	least time.Duration

	mu       sync.RWMutex
	byWorker map[string]time.Duration // only those longer than least; workers that have such settings are few
}

func newLongest(least time.Duration) *longest {
	return &longest{least: wholeSeconds(least), byWorker: make(map[string]time.Duration)}
}

// of returns the TTL of a worker's sids, given the remaining life of one.
func (l *longest) of(id string, left time.Duration) time.Duration {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return max(l.least, l.byWorker[id], wholeSeconds(left))
}

// raise stores the TTL that an open packet asks for and returns the one to use.
func (l *longest) raise(id string, ttl time.Duration) time.Duration {
	ttl = max(l.least, wholeSeconds(ttl))
	if ttl == l.least {
		return ttl
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ttl > l.byWorker[id] {
		if len(l.byWorker) >= longestMost {
			clear(l.byWorker) // drop ids of ended workers; the next open packets add the others again
		}
		l.byWorker[id] = ttl
	}
	return ttl
}

const longestMost = 4096

// wholeSeconds rounds up, because SET's EX takes seconds.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}
