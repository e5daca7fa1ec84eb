package redisconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// link is one connection of a subscription, from its dialling to its end.
type link struct {
	s     *Subscription
	place string        // the node's address; home for everything but shard channels of a cluster
	node  *redis.Client // who is listened to
	wake  chan struct{} // dirty has changed

	heard atomic.Int64 // nanoseconds since start when Redis last said something
	busy  atomic.Bool  // a callback runs: silence is ours
	start time.Time

	doubted atomic.Bool // Redis was asked for a sign of life: what was read before counts, too, while it is handled

	// under Subscription.mu
	dirty   map[topic]struct{} // to be sent: wanted or not since the last sync
	leaving map[topic]int      // unsubscriptions of shard channels that are sent and not confirmed
	alive   bool               // Redis has answered
}

// home is the place of all that is not bound to a node.
const home = ""

func newLink(s *Subscription, place string, node *redis.Client) *link {
	return &link{
		s: s, place: place, node: node, wake: make(chan struct{}, 1), start: time.Now(),
		dirty: make(map[topic]struct{}), leaving: make(map[topic]int),
	}
}

// run listens until the connection or ctx ends, and tells why.
func (l *link) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ps, err := dialPush(ctx, l.node, l.s.cfg.MaxPayload, l.hear)
	if err != nil {
		return err
	}
	var tender sync.WaitGroup
	defer tender.Wait()
	defer cancel(nil)
	defer ps.Close()
	// Receive looks at no context while it reads: closing the connection is what ends it.
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })()

	if err := l.sync(ctx, ps); err != nil {
		return err
	}
	if err := ps.Ping(ctx); err != nil { // its pong comes after every confirmation
		return err
	}
	l.hear()
	tender.Go(func() { cancel(l.tend(ctx, ps)) })
	for {
		need, err := l.handle(ps)
		if need > 0 {
			// No timeout here: it could strike in the middle of a message, and the rest would be
			// read as the next one.
			err = ps.fill(need)
		}
		if err == nil || context.Cause(ctx) == nil && l.s.movedAway(l, err) {
			continue
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}
}

// handledAtOnce is how many things that Redis said are handled before other links may have a turn.
// Taking turns for each cost as much as a message that is skipped.
const handledAtOnce = 16

// handle takes some of what was read. Need is 0 while there may be more.
func (l *link) handle(ps *push) (need int, err error) {
	l.busy.Store(true)
	l.s.told.Lock()
	defer func() {
		l.s.told.Unlock()
		l.busy.Store(false)
	}()
	for range handledAtOnce {
		m, need, err := ps.next()
		switch {
		case refusesPing(err):
			l.learn(said{kind: "pong"})
		case need > 0 || err != nil:
			return need, err
		case m.omitted > 0:
			if told := l.s.cfg.OnOversized; told != nil {
				told(m.channel, m.omitted)
			}
			l.hear()
		case m.message:
			if l.s.cfg.OnMessage(m.channel, m.payload) {
				ps.keep()
			}
			if l.doubted.Load() { // a glance at the clock costs as much as a message that is skipped
				l.hear()
			}
		default:
			l.learn(m)
		}
	}
	return 0, nil
}

// refusesPing tells that Redis lives, though it does not take a PING: its disk fails. It takes
// subscriptions all the same, and publishes.
func refusesPing(err error) bool {
	if err == nil {
		return false // before anything is allocated
	}
	var answer redis.Error
	return errors.As(err, &answer) && strings.HasPrefix(answer.Error(), "MISCONF ")
}

// learn takes what is no message. The caller holds told.
func (l *link) learn(m said) {
	if m.kind == "pong" {
		l.s.answered(l)
	} else {
		l.s.confirm(l, m.kind, strings.Clone(m.channel)) // kept for long, unlike what else was read with it
	}
	l.s.riseTold()
	l.hear()
}

func (l *link) hear() { l.heard.Store(int64(time.Since(l.start))) }

// tend keeps the connection: it sends what Add and Remove asked for, and probes a silent Redis. A
// stopped process or a cut cable closes no connection, so silence is the only sign of them.
func (l *link) tend(ctx context.Context, ps *push) error {
	silence := l.s.cfg.Silence
	timer := time.NewTimer(silence)
	defer timer.Stop()
	var pinged int64 // when; 0: no ping is out
	passed := 0      // answers over other connections since
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
			if err := l.sync(ctx, ps); err != nil {
				return err
			}
		case <-timer.C:
			now, heard := int64(time.Since(l.start)), l.heard.Load()
			switch silent := time.Duration(now - heard); {
			case l.busy.Load() || silent < silence:
				pinged, passed = 0, 0
				l.doubted.Store(false)
				timer.Reset(max(silence-silent, time.Millisecond))
				if l.busy.Load() {
					timer.Reset(silence)
				}
			case pinged > heard:
				if l.s.conn.cluster != nil { // other nodes serve, and say what this one does not
					return fmt.Errorf("%w for %v", errSilent, silent.Round(time.Millisecond))
				}
				l.s.fallSilent()
				if passed = l.passedBy(ctx, passed); passed == passedBy && l.heard.Load() == heard && !l.busy.Load() {
					return fmt.Errorf("%w for %v", errSilent, silent.Round(time.Millisecond))
				}
				timer.Reset(askedEvery)
			default:
				pinged, passed = now, 0 // answers of an earlier silence prove nothing
				l.doubted.Store(true)
				if err := ps.Ping(ctx); err != nil {
					return err
				}
				timer.Reset(pongWithin)
			}
		}
	}
}

// A Redis that was frozen says all that it was sent for this connection when it goes on, so that
// the connection is kept for as long as Redis is silent to everybody. It is dead when Redis answers
// over others, which were asked later.
const (
	passedBy   = 2
	askedEvery = time.Second
)

// passedBy counts another answer that Redis gave over another connection.
func (l *link) passedBy(ctx context.Context, n int) int {
	ctx, cancel := context.WithTimeout(ctx, pongWithin)
	defer cancel()
	var answer redis.Error
	if err := l.node.Ping(ctx).Err(); err == nil || errors.As(err, &answer) {
		n++
	}
	return n
}

// sync sends what has changed since it last did: as many names in one command as there are by then.
func (l *link) sync(ctx context.Context, ps *push) error {
	add, remove := l.s.pending(l)
	for _, step := range [...]struct {
		names []string
		send  func(context.Context, ...string) error
	}{
		{add[channels], ps.Subscribe},
		{add[patterns], ps.PSubscribe},
		{remove[channels], ps.Unsubscribe},
		{remove[patterns], ps.PUnsubscribe},
	} {
		for names := range slices.Chunk(step.names, namesAtOnce) {
			if err := step.send(ctx, names...); err != nil {
				return err
			}
		}
	}
	if err := l.sendShards(ctx, add[shards], ps.SSubscribe); err != nil {
		return err
	}
	return l.sendShards(ctx, remove[shards], ps.SUnsubscribe)
}

// sendShards names shard channels, in a cluster those of one slot in each command: Redis takes no
// others together.
func (l *link) sendShards(ctx context.Context, names []string, send func(context.Context, ...string) error) error {
	groups := [][]string{names}
	if l.place != home {
		bySlot := make(map[uint16][]string)
		for _, name := range names {
			slot := slotOf(name)
			bySlot[slot] = append(bySlot[slot], name)
		}
		groups = groups[:0]
		for _, names := range bySlot {
			groups = append(groups, names)
		}
	}
	for _, group := range groups {
		for names := range slices.Chunk(group, namesAtOnce) {
			if err := send(ctx, names...); err != nil {
				return err
			}
		}
	}
	return nil
}

// nudge makes the tender send what has changed.
func (l *link) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
