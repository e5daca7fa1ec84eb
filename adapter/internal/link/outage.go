package link

import (
	"context"
	"time"
)

const (
	flushWithin = 3 * time.Second // after Redis is back, messages wait no longer for the peers
	pingFirst   = 20 * time.Millisecond
	pingMost    = 500 * time.Millisecond
	peersAsked  = 50 * time.Millisecond
)

// Gap is a time in which messages of other servers may have been missed. Package adapter documents
// it.
type Gap struct {
	From, To time.Time
	Rooms    int
}

// onUp is called by the subscription when it misses nothing any more.
func (l *Link) onUp() {
	l.up.Store(true)
	if l.known.Swap(true) {
		l.reportGap(Gap{From: l.down, To: time.Now()})
	}
	l.peers.resumed()
}

// onResumed is called by the subscription when a silent Redis goes on: nothing was missed.
func (l *Link) onResumed() {
	l.up.Store(true)
	l.peers.resumed()
}

// onMoved is called by the subscription when nodes of a cluster took over channels of rooms.
func (l *Link) onMoved(rooms int) {
	now := time.Now()
	l.reportGap(Gap{From: now, To: now, Rooms: rooms})
}

func (l *Link) reportGap(g Gap) {
	l.Metrics.gaps.Inc()
	fields := []any{"lasted_ms", g.To.Sub(g.From).Milliseconds()}
	if g.Rooms > 0 {
		fields = append(fields, "rooms", g.Rooms)
	}
	l.Log.Warn("messages of other servers may have been missed", fields...)
	if l.Config.OnGap != nil {
		l.Config.OnGap(g)
	}
}

// onDown is called by the subscription when messages may be missed. Other servers may hear nothing
// either, so a message that is published now could be lost, and answers that are under way won't be
// heard.
func (l *Link) onDown() {
	l.down = time.Now()
	l.up.Store(false)
	l.publisher.pause()
	if l.hooks.Interrupted != nil {
		l.hooks.Interrupted()
	}
	l.signalLost()
	for _, n := range l.namespaces() {
		n.requests.failAll(ErrAway)
	}
}

func (l *Link) signalLost() {
	select {
	case l.lost <- struct{}{}:
	default:
	}
}

// endOutages lets the publisher go, at first and after each outage, once messages will find their
// receivers. If that doesn't help because a part of a cluster is away that only some messages need,
// it tries less and less often.
func (l *Link) endOutages(ctx context.Context) error {
	for pause := pingFirst; ctx.Err() == nil; {
		l.awaitRedis(ctx)
		l.awaitPeers(ctx)
		if !l.up.Load() {
			sleep(ctx, pingFirst)
			continue // lost again, or Redis doesn't let us listen
		}
		l.publisher.settle(l.Conn.Incarnation(ctx))
		l.publisher.resume()
		resumed := time.Now()
		select {
		case <-l.lost:
			l.Conn.Doubt()
		case <-ctx.Done():
			return nil
		}
		if time.Since(resumed) > flushWithin {
			pause = pingFirst
		}
		sleep(ctx, pause)
		pause = min(2*pause, pingMost)
	}
	return nil
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// awaitRedis returns when Redis takes commands and the subscription hears.
func (l *Link) awaitRedis(ctx context.Context) {
	for wait := pingFirst; l.Conn.Check(ctx) != nil && ctx.Err() == nil; wait = min(2*wait, pingMost) {
		sleep(ctx, wait)
	}
	_ = l.Wait(ctx) // fails with ctx only
}

// awaitPeers returns when the servers that listened before listen again, or have had the time.
func (l *Link) awaitPeers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	for !l.peers.allBack(ctx) && ctx.Err() == nil {
		sleep(ctx, peersAsked)
	}
}

// replaced reports whether another Redis answers than the one of an incarnation.
func (l *Link) replaced(ctx context.Context, incarnation string) bool {
	if incarnation == "" {
		return false
	}
	now := l.Conn.Incarnation(ctx)
	return now != "" && now != incarnation
}

// publishes reports whether Redis carries out a PUBLISH at the moment. It publishes on a channel
// that nobody listens to.
func (l *Link) publishes(ctx context.Context) bool {
	all := l.namespaces()
	node, err := l.Conn.AnyNode(ctx, nil)
	if err != nil || len(all) == 0 {
		return false
	}
	return node.Publish(ctx, all[0].protocol.AnswerChannel(NewID(12)), "").Err() == nil
}
