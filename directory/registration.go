package directory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const (
	beatTimeout   = 2 * time.Second
	beatRetry     = 200 * time.Millisecond // and twice as long after each failure, up to
	beatRetryMost = time.Second
)

// errTaken reports that another process has the id that the caller asked for.
var errTaken = errors.New("directory: id is taken")

// Registration keeps the record of this process in Redis, as a worker or as a router.
type Registration[R Worker | Router] struct {
	*app
	own  *pulse
	lost func() // called when Redis has lost data
	id   string
	key  string
	set  string
	kind kind[R]
	load func() int
	kick chan struct{}
	// moves has the orders to move sessions; nil if the worker takes none. It is set before Run.
	moves chan MoveOrder

	beats uint64 // of Run, so that each leaves another sign

	mu     sync.Mutex // guards record
	record R
}

// kind is what differs between the two records.
type kind[R Worker | Router] struct {
	name   string
	state  func(*R) *State
	moving func(*R) bool
	prime  func(r *R, id string)
	load   func(r *R, n int)
	events bool // its changes of state are events
}

var workerKind = kind[Worker]{
	name:   "worker",
	state:  func(w *Worker) *State { return &w.State },
	moving: func(w *Worker) bool { return w.Moving },
	prime:  func(w *Worker, id string) { w.V, w.ID = recordVersion, id },
	load:   func(w *Worker, n int) { w.Clients = n },
	events: true,
}

var routerKind = kind[Router]{
	name:   "router",
	state:  func(r *Router) *State { return &r.State },
	moving: func(*Router) bool { return false },
	prime:  func(r *Router, id string) { r.V, r.ID = recordVersion, id },
	load:   func(r *Router, n int) { r.Sessions = n },
}

func register[R Worker | Router](ctx context.Context, d *Directory, k kind[R], record R, id, set string, key func(string) string, load func() int) (*Registration[R], error) {
	wanted := id
	if load == nil {
		load = func() int { return 0 }
	}
	if state := k.state(&record); *state == "" {
		*state = StateStarting
	}
	for {
		if err := d.conn.Wait(ctx); err != nil {
			return nil, fmt.Errorf("directory: register %s: %w", k.name, errors.Join(err, d.conn.Err()))
		}
		if wanted == "" {
			id = NewWorkerID()
		}
		r := &Registration[R]{
			app: d.app, own: d.own, lost: d.follower.redisLostData, id: id, key: key(id), set: set, kind: k, load: load,
			kick: make(chan struct{}, 1), record: record,
		}
		k.prime(&r.record, id)
		claimed, err := r.claim(ctx)
		switch {
		case err == nil && claimed:
			return r, nil
		case err == nil && wanted != "":
			return nil, fmt.Errorf("%w: %s %s", errTaken, k.name, id)
		case errors.Is(err, redisconn.ErrAuth), errors.Is(err, redisconn.ErrRights):
			return nil, fmt.Errorf("directory: register %s: %w", k.name, err)
		case err != nil && ctx.Err() != nil:
			return nil, fmt.Errorf("directory: register %s: %w", k.name, ctx.Err())
		case err != nil:
			// Whether the claim arrived is not known. If it did, it expires: the next try takes
			// another id.
			d.own.failed(err)
			select {
			case <-ctx.Done():
			case <-time.After(beatRetry):
			}
		}
	}
}

// claim takes the id if nobody has it.
func (r *Registration[R]) claim(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	text, _, _ := r.text()
	err := r.client.SetArgs(ctx, r.key, text, redis.SetArgs{Mode: "NX", TTL: recordTTL}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, redisconn.Classify(err)
}

// ID returns the id of the record.
func (r *Registration[R]) ID() string { return r.id }

// SetState changes the state, and has Run write the record at once. It never blocks.
func (r *Registration[R]) SetState(s State) { r.Update(func(record *R) { *r.kind.state(record) = s }) }

// Update lets change edit the record, except for its id, and has Run write it at once. It doesn't
// wait for Redis.
func (r *Registration[R]) Update(change func(record *R)) {
	r.mu.Lock()
	change(&r.record)
	r.kind.prime(&r.record, r.id)
	r.mu.Unlock()
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// told is the part of a record whose changes routers are told.
type told struct {
	state  State
	moving bool
}

// text returns the record with the present load, what to tell the routers of it, and the sign of
// its next beat.
func (r *Registration[R]) text() (string, told, sign) {
	load := r.load()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kind.load(&r.record, 0)
	without := encode(r.record)
	r.kind.load(&r.record, load)
	return encode(r.record), told{*r.kind.state(&r.record), r.kind.moving(&r.record)}, sign{digest(without), r.beats, load}
}

// Run writes the record every 2 seconds, when it changes, and when Redis is back, until ctx ends.
// Then it removes the record and tells the routers. Call it once.
func (r *Registration[R]) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	r.own.began(r.key, r.kick)
	defer r.own.ended(r.key)
	var said told
	retry := beatRetry
	for {
		changed := r.conn.Changed()
		select {
		case <-ctx.Done():
			return r.goodbye(ctx)
		case <-changed:
		case <-r.kick:
		case <-timer.C:
		}
		now, err := r.beat(ctx, said)
		if err != nil && ctx.Err() == nil {
			r.own.failed(err)
			timer.Reset(retry)
			retry = min(2*retry, beatRetryMost)
			continue
		}
		said, retry = now, beatRetry
		timer.Reset(beatEvery)
	}
}

// beat writes the record. Routers are told of a change, and when the record had vanished: somebody
// said that this worker was gone, or Redis lost its data.
func (r *Registration[R]) beat(ctx context.Context, said told) (told, error) {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	r.beats++
	text, now, sign := r.text()
	sent := time.Now()
	pipe := r.client.Pipeline()
	had := pipe.Exists(ctx, r.key)
	written := pipe.Set(ctx, r.key, text, recordTTL)
	added := pipe.SAdd(ctx, r.set, r.id)
	signed := pipe.HSet(ctx, r.keys.beats(), r.kind.name+":"+r.id, sign.String())
	var move *redis.StringCmd
	if r.moves != nil {
		move = pipe.Get(ctx, r.keys.move(r.id)) // mostly there is none
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	err := cmp.Or(had.Err(), written.Err(), added.Err())
	if had.Err() == nil && written.Err() == nil && wrongType(added.Err()) {
		err = r.rebuild(ctx, added)
	}
	if err != nil {
		return said, redisconn.Classify(err)
	}
	if wrongType(signed.Err()) { // without its sign, a record is read by each look
		_ = r.client.Del(ctx, r.keys.beats()).Err() // or the next beat does it
	}
	before := r.own.took(r.key, sent)
	r.own.wrote()
	if move != nil && move.Err() == nil {
		r.takeMove(ctx, move.Val())
	}
	if !r.kind.events && had.Val() == 0 && added.Val() == 1 && sent.Sub(before) < recordTTL {
		r.lost()
	}
	if !r.kind.events || now == said && had.Val() == 1 || now.state == StateStarting {
		return now, nil
	}
	err = r.client.Publish(ctx, r.keys.events(), encode(event{Worker: r.id, State: now.state})).Err()
	if err != nil {
		return said, redisconn.Classify(err)
	}
	return now, nil
}

// rebuild makes the set of ids anew where its key holds something else. The others' beats bring
// their ids back.
func (r *Registration[R]) rebuild(ctx context.Context, added *redis.IntCmd) error {
	if r.ignored.news(r.set) {
		r.log.Warn("key isn't a set of ids: deleted and made anew", "key", r.set, "error", added.Err())
	}
	pipe := r.client.Pipeline()
	pipe.Del(ctx, r.set)
	pipe.SAdd(ctx, r.set, r.id)
	_, err := pipe.Exec(ctx)
	return err
}

// goodbye leaves the table. Without Redis there is nothing to leave: the record expires.
func (r *Registration[R]) goodbye(ctx context.Context) error {
	if !r.conn.Up() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if r.kind.events {
		return ignoreUnreachable(r.announceGone(ctx, r.id, false))
	}
	pipe := r.client.Pipeline()
	pipe.Del(ctx, r.key)
	pipe.SRem(ctx, r.set, r.id)
	pipe.HDel(ctx, r.keys.beats(), r.kind.name+":"+r.id)
	_, err := pipe.Exec(ctx)
	return ignoreUnreachable(redisconn.Classify(err))
}

func ignoreUnreachable(err error) error {
	if errors.Is(err, redisconn.ErrUnreachable) {
		return nil
	}
	return err
}
