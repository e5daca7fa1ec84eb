package link

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
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

// outages follows whether this process hears the other servers, and holds the publisher back while
// it doesn't. The subscription calls its on… methods, one at a time.
type outages struct {
	link  *Link
	up    atomic.Bool // the subscription hears everything
	known atomic.Bool // it has before
	down  time.Time   // when it last stopped hearing; only the on… methods use it
	lost  chan struct{}
	begun chan struct{} // closed once the publisher goes for the first time
}

func newOutages(l *Link) *outages {
	return &outages{link: l, lost: make(chan struct{}, 1), begun: make(chan struct{})}
}

// onUp is called by the subscription when it misses nothing any more.
func (o *outages) onUp() {
	o.up.Store(true)
	if o.known.Swap(true) {
		o.report(Gap{From: o.down, To: time.Now()})
	}
	o.link.peers.resumed()
}

// onResumed is called by the subscription when a silent Redis goes on: nothing was missed.
func (o *outages) onResumed() {
	o.up.Store(true)
	o.link.peers.resumed()
}

// onMoved is called by the subscription when nodes of a cluster took over channels of rooms.
func (o *outages) onMoved(rooms int) {
	now := time.Now()
	o.report(Gap{From: now, To: now, Rooms: rooms})
}

func (o *outages) report(g Gap) {
	o.link.Metrics.gaps.Inc()
	fields := []any{"lasted_ms", g.To.Sub(g.From).Milliseconds()}
	if g.Rooms > 0 {
		fields = append(fields, "rooms", g.Rooms)
	}
	o.link.Log.Warn("messages of other servers may have been missed", fields...)
	if o.link.Config.OnGap != nil {
		o.link.Config.OnGap(g)
	}
}

// onDown is called by the subscription when messages may be missed. Other servers may hear nothing
// either, so a message that is published now could be lost, and answers that are under way won't be
// heard.
func (o *outages) onDown() {
	o.down = time.Now()
	o.up.Store(false)
	o.link.publisher.pause()
	if o.link.hooks.Interrupted != nil {
		o.link.hooks.Interrupted()
	}
	o.signalLost()
	for _, n := range o.link.namespaces.all() {
		n.asks.open.failAll(ErrAway)
	}
}

func (o *outages) signalLost() {
	select {
	case o.lost <- struct{}{}:
	default:
	}
}

// run lets the publisher go, at first and after each outage, once messages will find their
// receivers. If that doesn't help because a part of a cluster is away that only some messages need,
// it tries less and less often.
func (o *outages) run(ctx context.Context) error {
	begin := sync.OnceFunc(func() { close(o.begun) })
	for pause := pingFirst; ctx.Err() == nil; {
		o.awaitRedis(ctx)
		o.awaitPeers(ctx)
		if !o.up.Load() {
			sleep(ctx, pingFirst)
			continue // lost again, or Redis doesn't let us listen
		}
		o.link.publisher.settle(o.link.Conn.Incarnation(ctx))
		o.link.publisher.resume()
		begin()
		resumed := time.Now()
		select {
		case <-o.lost:
			o.link.Conn.Doubt()
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
func (o *outages) awaitRedis(ctx context.Context) {
	for wait := pingFirst; o.link.Conn.Check(ctx) != nil && ctx.Err() == nil; wait = min(2*wait, pingMost) {
		sleep(ctx, wait)
	}
	_ = o.link.awaitHearing(ctx) // fails with ctx only
}

// awaitPeers returns when the servers that listened before listen again, or have had the time.
func (o *outages) awaitPeers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	for !o.link.peers.allBack(ctx) && ctx.Err() == nil {
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

// silent returns those of the nodes that don't carry out a PUBLISH within askedEvery. It publishes
// on a channel that nobody listens to.
func (l *Link) silent(ctx context.Context, nodes []*redis.Client) (silent []*redis.Client) {
	all := l.namespaces.all()
	if len(all) == 0 {
		return nodes
	}
	channel := all[0].protocol.AnswerChannel(NewID(12))
	ctx, cancel := context.WithTimeout(ctx, askedEvery)
	defer cancel()
	var (
		asking sync.WaitGroup
		mu     sync.Mutex
	)
	for _, node := range nodes {
		asking.Go(func() {
			if node.Publish(ctx, channel, "").Err() != nil {
				mu.Lock()
				defer mu.Unlock()
				silent = append(silent, node)
			}
		})
	}
	asking.Wait()
	return silent
}
