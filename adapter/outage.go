package adapter

import (
	"context"
	"time"
)

const (
	flushWithin = 3 * time.Second // after Redis is back, messages wait for the peers no longer than this
	pingFirst   = 20 * time.Millisecond
	pingMost    = 500 * time.Millisecond
	peersAsked  = 50 * time.Millisecond
)

// Gap is a time in which messages of other servers may have been missed: Redis was away, or ended our subscription because
// we read too slowly (its client-output-buffer-limit), or a cluster gave channels to another node. Nothing says how many
// there were. An app that cannot bear it asks for what it needs to know, or uses the adapter over streams.
type Gap struct {
	From, To time.Time
	// Rooms is not 0 when nothing but what was said to that many rooms may have been missed.
	Rooms int
}

// onUp is called by the subscription when nothing is missed any more.
func (r *Redis) onUp() {
	r.up.Store(true)
	if r.known.Swap(true) {
		r.tellGap(Gap{From: r.down, To: time.Now()})
	}
	r.peers.resumed()
}

// onResumed is called by the subscription when Redis goes on that was silent: nothing was missed.
func (r *Redis) onResumed() {
	r.up.Store(true)
	r.peers.resumed()
}

// onMoved is called by the subscription when nodes of a cluster took over channels of rooms.
func (r *Redis) onMoved(rooms int) {
	now := time.Now()
	r.tellGap(Gap{From: now, To: now, Rooms: rooms})
}

func (r *Redis) tellGap(g Gap) {
	r.metrics.gaps.Inc()
	line := r.log.Warn().Dur("ms", g.To.Sub(g.From))
	if g.Rooms > 0 {
		line.Int("rooms", g.Rooms)
	}
	line.Msg("messages of other servers may have been missed")
	if r.cfg.OnGap != nil {
		r.cfg.OnGap(g)
	}
}

// onDown is called by the subscription when messages may be missed: other servers may be deaf as well, so what is
// published now would be lost, and answers under way will not be heard.
func (r *Redis) onDown() {
	r.down = time.Now()
	r.up.Store(false)
	r.publisher.pause()
	r.form.interrupted()
	r.signalLost()
	for _, n := range r.namespaces() {
		n.calls.failAll(ErrAway)
	}
}

func (r *Redis) signalLost() {
	select {
	case r.lost <- struct{}{}:
	default:
	}
}

// recover lets the publisher go, at first and after each outage, once messages will find who they are for. Where that is of
// no use, since a part of a cluster is away that only some messages need, it tries more and more seldom.
func (r *Redis) recover(ctx context.Context) error {
	for pause := pingFirst; ctx.Err() == nil; {
		r.awaitRedis(ctx)
		r.awaitPeers(ctx)
		if !r.up.Load() {
			rest(ctx, pingFirst)
			continue // lost again, or we are not let listen
		}
		r.publisher.settle(r.conn.Incarnation(ctx))
		r.publisher.resume()
		resumed := time.Now()
		select {
		case <-r.lost:
			r.conn.Doubt()
		case <-ctx.Done():
			return nil
		}
		if time.Since(resumed) > flushWithin {
			pause = pingFirst
		}
		rest(ctx, pause)
		pause = min(2*pause, pingMost)
	}
	return nil
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// awaitRedis returns when Redis takes commands and the subscription hears.
func (r *Redis) awaitRedis(ctx context.Context) {
	for wait := pingFirst; r.conn.Check(ctx) != nil && ctx.Err() == nil; wait = min(2*wait, pingMost) {
		rest(ctx, wait)
	}
	_ = r.Wait(ctx) // fails with ctx only
}

// awaitPeers returns when those who listened before listen again, or have had the time.
func (r *Redis) awaitPeers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	for !r.peers.back(ctx) && ctx.Err() == nil {
		rest(ctx, peersAsked)
	}
}

// replaced tells whether another Redis answers than the one that was named when messages were last
// let go.
func (r *Redis) replaced(ctx context.Context, incarnation string) bool {
	if incarnation == "" {
		return false
	}
	now := r.conn.Incarnation(ctx)
	return now != "" && now != incarnation
}

// passes tells whether Redis publishes at the moment: on a channel that nobody listens to.
func (r *Redis) passes(ctx context.Context) bool {
	all := r.namespaces()
	node, err := r.conn.AnyNode(ctx, nil)
	if err != nil || len(all) == 0 {
		return false
	}
	return node.Publish(ctx, all[0].talk.answersTo(newID(12)), "").Err() == nil
}
