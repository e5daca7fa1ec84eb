package directory

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

const (
	lookEvery   = 2 * time.Second
	lookTimeout = 2 * time.Second
	lookAfter   = 10 * time.Millisecond // after a record's expected expiry, for Redis to have expired it
	lookRetry   = 100 * time.Millisecond
	sweepEvery  = 10 * time.Second // of expired sids
)

// follower keeps the table of workers and routers. It reads their records, and hears their events.
type follower struct {
	*app
	published
	own       *pulse
	secret    *secret
	sids      *sids // written again when Redis is back
	reader    reader
	due       due
	strangers strangers

	events *redisconn.Subscription
	deaf   atomic.Bool   // the events are not heard: not yet, or Redis may be away
	back   atomic.Bool   // they are heard again, and the records not yet looked at
	looks  atomic.Uint64 // at the records, that Redis answered

	mu        sync.Mutex // guards the rest
	roster    *roster
	upstreams []Worker // beside those of the roster
	looked    bool     // at the records
}

func newFollower(a *app, sidTTL time.Duration, own *pulse, secret *secret, s *sids) *follower {
	f := &follower{app: a, own: own, secret: secret, sids: s, reader: reader{app: a}, due: newDue(), roster: newRoster(sidTTL)}
	f.deaf.Store(true)
	first := true
	f.events = a.conn.Subscribe(redisconn.SubConfig{
		Name:       "directory events",
		Channels:   []string{a.keys.events()},
		MaxPayload: maxRecord,
		OnMessage:  func(_ string, payload []byte) bool { f.heard(payload); return false },
		OnUp: func() {
			f.strangers.forget()
			f.deaf.Store(false)
			f.back.Store(!first)
			first = false
			f.due.addAll()
		},
		OnDown: func() { f.deaf.Store(true) },
	})
	return f
}

// run reads all records every 2 s and when a record should expire, and single ones after events.
func (f *follower) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	away := false
	var unread sparse // logged that the records can't be read
	for {
		changed := f.conn.Changed()
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			f.sids.sweep()
			continue
		case <-changed:
		case <-f.due.wake:
			ids, all := f.due.take()
			if !all && !away && f.conn.Up() && !f.back.Load() && f.lookAt(ctx, ids) == nil {
				continue
			}
		case <-timer.C:
		}
		if !f.conn.Up() {
			away = true
			continue // its change back wakes this loop
		}
		returned := f.back.Swap(false)
		wait, err := f.look(ctx, away || returned)
		if err != nil && ctx.Err() == nil {
			if unread.due(logEvery) {
				f.log.Warn("directory not readable; keeping the known workers", "error", err)
			}
			f.conn.Doubt()
			away, wait = true, lookRetry
		} else if err == nil && (away || returned) {
			away = false
			f.sids.rewrite()
		}
		timer.Reset(wait)
	}
}

// synced waits for the events and the first look: see [Directory.Synced].
func (f *follower) synced(ctx context.Context) error {
	if err := f.events.Wait(ctx); err != nil {
		return err
	}
	for {
		changed := f.Changed()
		f.mu.Lock()
		looked := f.looked
		f.mu.Unlock()
		if looked {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look reads all records once and returns the time until the next look.
func (f *follower) look(ctx context.Context, returned bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	sent, deaf := f.own.beats(), f.deaf.Load()
	o, err := f.reader.read(ctx, f.known(), sent, f.secret.known())
	if err != nil {
		return 0, err
	}
	unsure, missing := f.keys.blind(&o, sent)
	o.blind = o.blind || unsure || deaf || f.deaf.Load()
	f.metrics.blind.Set(float64(b2i(o.blind)))
	for _, key := range missing {
		f.own.again(key)
	}
	f.mu.Lock()
	if returned {
		f.roster.returned(o.at)
	}
	n := f.roster.observe(o)
	if n.changed || !f.looked {
		f.looked = true
		f.publishLocked()
	}
	wait := f.roster.nextExpiry(o.at, lookEvery) + lookAfter
	f.mu.Unlock()
	f.looks.Add(1)
	f.tell(n)
	f.secret.confirm(ctx, o.secret)
	if err := f.prune(ctx, n); err != nil { // what was read still counts
		f.log.Debug("directory not pruned", "error", err)
	}
	return wait, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lookAt reads the records of workers that events named. Other records stay as they are.
func (f *follower) lookAt(ctx context.Context, ids []string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	all, err := f.reader.readWorkers(ctx, ids)
	if err != nil {
		return err
	}
	var n news
	at := time.Now()
	f.mu.Lock()
	for _, s := range all {
		if s.bad != "" {
			n.unreadable = append(n.unreadable, s.id+": "+s.bad)
		}
		if s.raw != "" { // else the next look tells
			f.roster.saw(s, at, &n)
		}
	}
	if n.changed {
		f.publishLocked()
	}
	f.mu.Unlock()
	f.tell(n)
	return nil
}

// prune removes ids from the sets if their records expired long ago, and signs of beats without a
// member. A worker that returns adds itself with its next beat.
func (f *follower) prune(ctx context.Context, n news) error {
	if len(n.staleBeats) > 0 {
		if err := f.client.HDel(ctx, f.keys.beats(), n.staleBeats...).Err(); err != nil {
			return fmt.Errorf("directory: prune %s: %w", f.keys.beats(), redisconn.Classify(err))
		}
	}
	for set, ids := range map[string][]string{
		f.keys.workers(): append(n.staleWorkers, n.junk[f.keys.workers()]...),
		f.keys.routers(): append(n.staleNode, n.junk[f.keys.routers()]...),
	} {
		if len(ids) == 0 {
			continue
		}
		if err := f.client.SRem(ctx, set, ids).Err(); err != nil {
			return fmt.Errorf("directory: prune %s: %w", set, redisconn.Classify(err))
		}
	}
	return nil
}

func (f *follower) tell(n news) {
	for _, id := range n.lost {
		f.log.Warn("worker lost: its record expired without a goodbye", "worker", id)
	}
	for _, id := range n.back {
		f.log.Info("worker back", "worker", id)
	}
	for _, id := range n.forgotten {
		f.log.Info("lost worker forgotten", "worker", id)
	}
	f.metrics.unreadable.Add(float64(len(n.unreadable)))
	for _, what := range n.unreadable {
		if f.ignored.news(what) {
			f.log.Warn("record not readable: ignored", "record", what)
		}
	}
}

// heard handles one event. It ignores events that it can't read: another version may have sent
// them, and the records have the facts.
func (f *follower) heard(payload []byte) {
	var e event
	if json.Unmarshal(payload, &e) != nil || !isID(e.Worker) {
		return
	}
	switch e.State {
	case stateSilent, stateHeard:
		f.silent(e.Worker, e.State == stateSilent)
	case stateGone:
		f.died(e.Worker, e.Dead)
	default:
		f.strangers.came(e.Worker)
		f.mu.Lock()
		f.roster.lives(e.Worker, time.Now())
		f.roster.heardOf(e.Worker, time.Now())
		f.mu.Unlock()
		f.due.add(e.Worker)
	}
}

// silent takes the report that a worker has missed its beats, or beats again.
func (f *follower) silent(id string, silent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.roster.quiet(id, silent, time.Now()) {
		f.publishLocked()
		f.log.Info("worker missed its heartbeats, or sends them again", "worker", id, "silent", silent)
	}
}

// died forgets a worker, and returns false if it was known to be gone. Dead means that somebody
// else reported its end. A worker that drained was about to leave: its supervisor may see its end
// before its goodbye comes.
func (f *follower) died(id string, dead bool) (news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.roster.members[id]
	var was Worker
	if m != nil {
		was = m.worker
	}
	news = f.roster.died(id, time.Now())
	if m == nil {
		return news
	}
	f.publishLocked()
	switch {
	case !dead:
		f.log.Info("worker gone", "worker", id, "worker_host", was.Host, "slot", was.Slot, "why", "goodbye")
	case was.State == StateDraining:
		f.log.Info("worker gone", "worker", id, "worker_host", was.Host, "slot", was.Slot, "why", "ended while it drained")
	default:
		f.log.Warn("worker gone", "worker", id, "worker_host", was.Host, "slot", was.Slot, "why", "died")
	}
	return news
}

// isGone reports whether somebody saw the worker's end a moment ago.
func (f *follower) isGone(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	until, ok := f.roster.gone[id]
	return ok && time.Now().Before(until)
}

// known returns the ids that a look reads even if the sets don't have them: a set may be lost
// while its members live. Ids that events named come first if a set has too many.
func (f *follower) known() members {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.roster.known()
}

// redisLostData has everything written again that only this process knows, and all records read.
func (f *follower) redisLostData() {
	f.sids.redisLostData()
	f.due.addAll()
}

// setUpstreams replaces the upstreams of the table.
func (f *follower) setUpstreams(workers []Worker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.upstreams = workers
	f.publishLocked()
}

// publishLocked replaces the table by the roster's present state.
func (f *follower) publishLocked() {
	t := f.roster.table(f.upstreams)
	f.publish(t)
	f.metrics.countWorkers(t)
}

// readAnew returns the table as Redis has it now. Unlike the follower's own looks it may be called
// beside run.
func (f *follower) readAnew(ctx context.Context) (*Table, error) {
	anew := reader{app: f.app}
	o, err := anew.read(ctx, f.known(), nil, false)
	if err != nil {
		return nil, err
	}
	r := newRoster(f.roster.sidTTL)
	r.observe(o)
	t := r.table(nil)
	for _, w := range f.Workers().All() { // missed beats are told, and not in Redis
		if now := t.byID[w.ID]; now != nil && w.State == StateSick {
			now.State = StateSick
		}
	}
	return newTable(t.byID, t.routers, nil), nil
}

// due says which records to read next: all, or those that events named.
type due struct {
	wake chan struct{}

	mu  sync.Mutex // guards the rest
	all bool
	ids map[string]struct{}
}

func newDue() due { return due{wake: make(chan struct{}, 1), ids: make(map[string]struct{})} }

func (d *due) addAll() {
	d.mu.Lock()
	d.all = true
	d.mu.Unlock()
	kick(d.wake)
}

// add adds the record of one worker.
func (d *due) add(id string) {
	d.mu.Lock()
	if len(d.ids) < maxHeard {
		d.ids[id] = struct{}{}
	} else {
		d.all = true
	}
	d.mu.Unlock()
	kick(d.wake)
}

// take returns the workers whose records to read, or all, and begins anew.
func (d *due) take() (ids []string, all bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ids, all = slices.Collect(maps.Keys(d.ids)), d.all
	clear(d.ids)
	d.all = false
	return ids, all
}
