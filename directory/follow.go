package directory

import (
	"context"
	"encoding/json"
	"fmt"
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

// follow reads all records every 2 s and when a record should expire, and single ones after events.
func (d *Directory) follow(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	away := false
	for {
		changed := d.conn.Changed()
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			d.cache.expire(d.now())
			if d.behind.Swap(false) {
				d.rewrite()
			}
			d.metrics.sids.Set(float64(d.cache.len()))
			continue
		case <-changed:
		case <-d.refresh:
			ids, whole := d.wanted()
			if !whole && !away && d.conn.Up() && !d.back.Load() && d.lookAt(ctx, ids) == nil {
				continue
			}
		case <-timer.C:
		}
		if !d.conn.Up() {
			away = true
			continue // its change back wakes this loop
		}
		returned := d.back.Swap(false)
		wait, err := d.look(ctx, away || returned)
		if err != nil && ctx.Err() == nil {
			if d.unread.due(logEvery) {
				d.cfg.Log.Warn("directory not readable; keeping the known workers", "error", err)
			}
			d.conn.Doubt()
			away, wait = true, lookRetry
		} else if err == nil && (away || returned) {
			away = false
			d.rewrite()
		}
		timer.Reset(wait)
	}
}

// look reads all records once and returns the time until the next look.
func (d *Directory) look(ctx context.Context, returned bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	sent := d.pulse.beats()
	o, err := d.read(ctx, sent)
	if err != nil {
		return 0, err
	}
	unsure, missing := d.keys.blind(&o, sent)
	o.blind = o.blind || unsure
	d.metrics.blind.Set(float64(b2i(o.blind)))
	for _, key := range missing {
		d.pulse.again(key)
	}
	d.mu.Lock()
	if returned {
		d.roster.returned(o.at)
	}
	n := d.roster.observe(o)
	if n.changed || !d.looked {
		d.looked = true
		d.publishLocked()
	}
	wait := d.roster.nextExpiry(o.at, lookEvery) + lookAfter
	d.mu.Unlock()
	d.looks.Add(1)
	d.tell(n)
	d.confirmSecret(ctx, o.secret)
	if err := d.prune(ctx, n); err != nil { // what was read still counts
		d.cfg.Log.Debug("directory not pruned", "error", err)
	}
	return wait, nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// prune removes ids from the sets if their records expired long ago, and signs of beats without a
// member. A worker that returns adds itself with its next beat.
func (d *Directory) prune(ctx context.Context, n news) error {
	if len(n.staleBeats) > 0 {
		if err := d.client.HDel(ctx, d.keys.beats(), n.staleBeats...).Err(); err != nil {
			return fmt.Errorf("directory: prune %s: %w", d.keys.beats(), redisconn.Classify(err))
		}
	}
	for set, ids := range map[string][]string{
		d.keys.workers(): append(n.staleWorkers, n.junk[d.keys.workers()]...),
		d.keys.routers(): append(n.staleNode, n.junk[d.keys.routers()]...),
	} {
		if len(ids) == 0 {
			continue
		}
		if err := d.client.SRem(ctx, set, ids).Err(); err != nil {
			return fmt.Errorf("directory: prune %s: %w", set, redisconn.Classify(err))
		}
	}
	return nil
}

func (d *Directory) tell(n news) {
	for _, id := range n.lost {
		d.cfg.Log.Warn("worker lost: its record expired without a goodbye", "worker", id)
	}
	for _, id := range n.back {
		d.cfg.Log.Info("worker back", "worker", id)
	}
	for _, id := range n.forgotten {
		d.cfg.Log.Info("lost worker forgotten", "worker", id)
	}
	d.metrics.unreadable.Add(float64(len(n.unreadable)))
	for _, what := range n.unreadable {
		if d.ignored.news(what) {
			d.cfg.Log.Warn("record not readable: ignored", "record", what)
		}
	}
}

// heard handles one event. It ignores events that it can't read: another version may have sent
// them, and the records have the facts.
func (d *Directory) heard(payload []byte) {
	var e event
	if json.Unmarshal(payload, &e) != nil || !isID(e.Worker) {
		return
	}
	if e.State == stateSilent || e.State == stateHeard {
		d.MarkSilent(e.Worker, e.State == stateSilent)
		return
	}
	if e.State != stateGone {
		d.strangers.came(e.Worker)
	}
	d.mu.Lock()
	if e.State == stateGone {
		d.diedLocked(e.Worker, e.Dead)
	} else {
		d.roster.lives(e.Worker, time.Now())
		d.roster.heardOf(e.Worker, time.Now())
		d.nameLocked(e.Worker)
	}
	d.mu.Unlock()
	kick(d.refresh)
}

// WorkerGone reports a dead worker, for a caller that saw its end: a child process that exited, a refused
// connection, another process at its address. This process forgets the worker at once, and an event
// tells the others. A worker that lives is back with its next beat. WorkerGone never blocks.
func (d *Directory) WorkerGone(id string) {
	d.mu.Lock()
	news := d.diedLocked(id, true)
	d.mu.Unlock()
	if !news {
		return
	}
	select {
	case d.deaths <- id:
	default: // too many at once: the other routers find out, or wait for the records to expire
	}
}

// WorkerSilent reports that a worker has missed its beats, or beats again. Its supervisor calls it every
// second while the worker is silent. Meanwhile the worker gets no new sessions: from this process at
// once, from the others by an event. WorkerSilent never blocks.
func (d *Directory) WorkerSilent(id string, silent bool) {
	d.MarkSilent(id, silent)
	e := event{Worker: id, State: stateHeard}
	if silent {
		e.State = stateSilent
	}
	select {
	case d.silences <- e:
	default: // the supervisor repeats it, or it ends by itself
	}
}

// MarkSilent is WorkerSilent without the event.
func (d *Directory) MarkSilent(id string, silent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.roster.quiet(id, silent, time.Now()) {
		d.publishLocked()
		d.cfg.Log.Info("worker missed its heartbeats, or sends them again", "worker", id, "silent", silent)
	}
}

// diedLocked forgets a worker. Dead means that somebody else reported its end. A worker that drained
// was about to leave: its supervisor may see its end before its goodbye comes.
func (d *Directory) diedLocked(id string, dead bool) bool {
	m := d.roster.members[id]
	var was Worker
	if m != nil {
		was = m.worker
	}
	news := d.roster.died(id, time.Now())
	if m == nil {
		return news
	}
	d.publishLocked()
	switch {
	case !dead:
		d.cfg.Log.Info("worker gone", "worker", id, "worker_host", was.Host, "slot", was.Slot, "why", "goodbye")
	case was.State == StateDraining:
		d.cfg.Log.Info("worker gone", "worker", id, "worker_host", was.Host, "slot", was.Slot, "why", "ended while it drained")
	default:
		d.cfg.Log.Warn("worker gone", "worker", id, "worker_host", was.Host, "slot", was.Slot, "why", "died")
	}
	return news
}

// announceDeaths tells the other routers about the workers of WorkerGone.
func (d *Directory) announceDeaths(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-d.deaths:
			if err := d.announceGone(ctx, id, true); err != nil && ctx.Err() == nil {
				d.cfg.Log.Debug("gone worker not announced", "worker", id, "error", err)
			}
		case e := <-d.silences:
			saying, cancel := context.WithTimeout(ctx, lookTimeout)
			if err := d.client.Publish(saying, d.keys.events(), encode(e)).Err(); err != nil && ctx.Err() == nil {
				d.cfg.Log.Debug("silent worker not announced", "worker", e.Worker, "error", err)
			}
			cancel()
		}
	}
}

// announceGone removes a worker's record and then tells the routers.
func (d *Directory) announceGone(ctx context.Context, id string, dead bool) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	pipe := d.client.Pipeline()
	pipe.Del(ctx, d.keys.worker(id))
	pipe.SRem(ctx, d.keys.workers(), id)
	pipe.HDel(ctx, d.keys.beats(), workerField(id))
	pipe.Publish(ctx, d.keys.events(), encode(event{id, stateGone, dead}))
	_, err := pipe.Exec(ctx)
	return redisconn.Classify(err)
}
