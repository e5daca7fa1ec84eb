package redisconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"
)

const (
	silenceProbed = 3 * time.Second // without a message this long, Redis is asked for a sign of life
	pongWithin    = 2 * time.Second
	retryFirst    = 20 * time.Millisecond
	retryMost     = time.Second
	namesAtOnce   = 1000 // channels in one SUBSCRIBE
)

var errSilent = errors.New("no answer to PING")

// SubConfig says what a [Subscription] listens to and whom it tells. All callbacks run one at a time on Run's goroutine,
// so none may wait for something that Run delivers.
type SubConfig struct {
	// Name says in log lines what the subscription is for.
	Name string
	// Channels and Patterns are what is wanted from the start; Add and Remove change it.
	Channels, Patterns []string
	// OnMessage gets each message in the order in which Redis sent it. Payload belongs to the receiver, which may keep it
	// but not write to it. While OnMessage runs nothing is read: backpressure reaches Redis, which cuts off a subscriber
	// that lags by its client-output-buffer-limit; that shows as OnDown, OnUp.
	OnMessage func(channel string, payload []byte)
	// OnUp is called when Redis has confirmed all that is wanted, after each (re)connect: from here on nothing is missed
	// until OnDown. Nil is allowed, as for OnDown.
	OnUp func()
	// OnDown is called when the connection is lost: messages may be missed until OnUp.
	OnDown func()
	// Silence is how long Redis may say nothing before it is probed with PING; zero means 3 s. It then has 2 s to answer.
	Silence time.Duration
}

// kind is how a topic is subscribed to.
type kind byte

const (
	channels kind = iota
	patterns
	shards // channels of sharded pub/sub, which have names of their own
)

// wish is in which ways a topic is wanted.
type wish byte

const (
	firmly  wish = 1 << iota // Up and Wait are about it
	loosely                  // they are not
)

// topic is a channel, a pattern or a shard channel.
type topic struct {
	name string
	kind kind
}

// Subscription listens on one connection of its own. Everything but Run may be called concurrently and never blocks on
// Redis (Wait waits by design).
type Subscription struct {
	conn *Conn
	cfg  SubConfig
	wake chan struct{} // want has changed

	heard atomic.Int64 // nanoseconds since start when Redis last said something
	busy  atomic.Bool  // a callback runs: silence is ours
	start time.Time

	mu      sync.Mutex // guards the rest
	want    map[topic]wish
	active  map[topic]struct{} // confirmed by Redis on this connection
	missing int                // topics that Up is about and that are not active
	dirty   map[topic]struct{} // to be sent: wanted or not since the last sync
	up      bool
	refused error         // why Redis will not let us listen, until it does: a missing right
	changed chan struct{} // closed when active, up or refused changes
}

// Subscribe makes a Subscription; nothing happens before its Run.
func (c *Conn) Subscribe(cfg SubConfig) *Subscription {
	if cfg.Silence == 0 {
		cfg.Silence = silenceProbed
	}
	s := &Subscription{
		conn:    c,
		cfg:     cfg,
		wake:    make(chan struct{}, 1),
		start:   time.Now(),
		want:    make(map[topic]wish),
		dirty:   make(map[topic]struct{}),
		active:  make(map[topic]struct{}),
		changed: make(chan struct{}),
	}
	s.Add(cfg.Channels...)
	s.AddPatterns(cfg.Patterns...)
	return s
}

// Run listens until ctx ends, reconnecting as often as it must. Call it once.
func (s *Subscription) Run(ctx context.Context) error {
	retry := retryFirst
	var logged string
	for ctx.Err() == nil {
		err := s.listen(ctx)
		wasUp := s.lost()
		if ctx.Err() != nil {
			break
		}
		if wasUp {
			retry = retryFirst
			s.conn.Doubt()
			s.conn.log.Warn().Str("subscription", s.cfg.Name).Err(err).Msg("subscription lost")
			if s.cfg.OnDown != nil {
				s.cfg.OnDown()
			}
		} else if err = Classify(err); (errors.Is(err, ErrRights) || errors.Is(err, ErrAuth)) && err.Error() != logged {
			logged = err.Error() // reconnecting will not help, an operator will
			s.conn.log.Error().Str("subscription", s.cfg.Name).Err(err).Msg("subscription refused")
			s.refuse(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retry):
			retry = min(2*retry, retryMost)
		}
	}
	if s.lost() && s.cfg.OnDown != nil {
		s.cfg.OnDown()
	}
	return nil
}

// listen lives as long as one connection, and tells why it ended.
func (s *Subscription) listen(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ps := s.conn.client.Subscribe(ctx)
	var tender sync.WaitGroup
	defer tender.Wait()
	defer cancel(nil)
	defer ps.Close()
	// Receive looks at no context while it reads: closing the connection is what ends it.
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })()

	s.forgetSent()
	if err := s.sync(ctx, ps); err != nil {
		return err
	}
	if err := ps.Ping(ctx); err != nil { // its pong comes after every confirmation
		return err
	}
	s.hear()
	tender.Go(func() { cancel(s.tend(ctx, ps)) })
	for {
		// No timeout here: it could strike in the middle of a message, and the rest would be read as the next one.
		m, err := ps.Receive(ctx)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
		s.hear()
		s.handle(m)
	}
}

// handle takes one thing that Redis said.
func (s *Subscription) handle(m any) {
	switch m := m.(type) {
	case *redis.Message:
		s.busy.Store(true)
		s.cfg.OnMessage(m.Channel, unsafe.Slice(unsafe.StringData(m.Payload), len(m.Payload)))
		s.hear()
		s.busy.Store(false)
	case *redis.Subscription:
		s.confirm(m)
	case *redis.Pong:
		if s.nowUp() && s.cfg.OnUp != nil {
			s.busy.Store(true)
			s.cfg.OnUp()
			s.hear()
			s.busy.Store(false)
		}
	}
}

// tend keeps one connection: it sends what Add and Remove asked for, and probes a silent Redis. A stopped process or a
// cut cable closes no connection, so silence is the only sign of them.
func (s *Subscription) tend(ctx context.Context, ps *redis.PubSub) error {
	timer := time.NewTimer(s.cfg.Silence)
	defer timer.Stop()
	var pinged int64 // when; 0: no ping is out
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			if err := s.sync(ctx, ps); err != nil {
				return err
			}
		case <-timer.C:
			now, heard := int64(time.Since(s.start)), s.heard.Load()
			switch silent := time.Duration(now - heard); {
			case s.busy.Load() || silent < s.cfg.Silence:
				pinged = 0
				timer.Reset(max(s.cfg.Silence-silent, time.Millisecond))
				if s.busy.Load() {
					timer.Reset(s.cfg.Silence)
				}
			case pinged > heard:
				return fmt.Errorf("%w for %v", errSilent, silent.Round(time.Millisecond))
			default:
				pinged = now
				if err := ps.Ping(ctx); err != nil {
					return err
				}
				timer.Reset(pongWithin)
			}
		}
	}
}

// forgetSent has sync send all that is wanted, on a new connection.
func (s *Subscription) forgetSent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.dirty)
	for t := range s.want {
		s.dirty[t] = struct{}{}
	}
}

// sync sends what has changed since it last did: as many names in one command as there are by then.
func (s *Subscription) sync(ctx context.Context, ps *redis.PubSub) error {
	var add, remove [shards + 1][]string
	s.mu.Lock()
	for t := range s.dirty {
		if _, ok := s.want[t]; ok {
			add[t.kind] = append(add[t.kind], t.name)
		} else {
			remove[t.kind] = append(remove[t.kind], t.name)
		}
	}
	clear(s.dirty)
	s.mu.Unlock()
	for _, step := range [...]struct {
		names []string
		send  func(context.Context, ...string) error
	}{
		{add[channels], ps.Subscribe},
		{add[patterns], ps.PSubscribe},
		{add[shards], ps.SSubscribe},
		{remove[channels], ps.Unsubscribe},
		{remove[patterns], ps.PUnsubscribe},
		{remove[shards], ps.SUnsubscribe},
	} {
		for names := range slices.Chunk(step.names, namesAtOnce) {
			if err := step.send(ctx, names...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Subscription) hear() { s.heard.Store(int64(time.Since(s.start))) }

// confirm notes Redis's answer to one (un)subscribe.
func (s *Subscription) confirm(m *redis.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m.Kind {
	case "subscribe":
		s.activateLocked(topic{m.Channel, channels})
	case "psubscribe":
		s.activateLocked(topic{m.Channel, patterns})
	case "ssubscribe":
		s.activateLocked(topic{m.Channel, shards})
	case "unsubscribe":
		s.deactivateLocked(topic{m.Channel, channels})
	case "punsubscribe":
		s.deactivateLocked(topic{m.Channel, patterns})
	case "sunsubscribe":
		s.deactivateLocked(topic{m.Channel, shards})
	}
	s.tellLocked()
}

func (s *Subscription) activateLocked(t topic) {
	if _, ok := s.active[t]; !ok {
		s.active[t] = struct{}{}
		if s.want[t]&firmly != 0 {
			s.missing--
		}
	}
}

func (s *Subscription) deactivateLocked(t topic) {
	if _, ok := s.active[t]; ok {
		delete(s.active, t)
		if s.want[t]&firmly != 0 {
			s.missing++
		}
	}
}

// nowUp tells whether this is the moment at which the connection came up.
func (s *Subscription) nowUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.up
	s.up, s.refused = true, nil
	if !was {
		s.tellLocked()
	}
	return !was
}

// lost forgets the connection and tells whether it had come up.
func (s *Subscription) lost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.up
	s.up = false
	clear(s.active)
	s.missing = 0
	for _, w := range s.want {
		if w&firmly != 0 {
			s.missing++
		}
	}
	s.tellLocked()
	return was
}

func (s *Subscription) tellLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Add subscribes to channels as well, now or on the next connection.
func (s *Subscription) Add(names ...string) { s.add(names, channels, firmly) }

// AddPatterns is Add for patterns in Redis's glob style.
func (s *Subscription) AddPatterns(names ...string) { s.add(names, patterns, firmly) }

// AddShards is Add for channels of sharded pub/sub, which Redis has since version 7.
func (s *Subscription) AddShards(names ...string) { s.add(names, shards, firmly) }

// AddShardsLoosely is AddShards for channels that come and go: Up and Wait are not about them, though OnUp is when Redis
// has confirmed those, too, that were wanted by then.
func (s *Subscription) AddShardsLoosely(names ...string) { s.add(names, shards, loosely) }

// Remove ends the subscription to channels. Messages that are under way still arrive.
func (s *Subscription) Remove(names ...string) { s.remove(names, channels, firmly) }

// RemovePatterns is Remove for patterns.
func (s *Subscription) RemovePatterns(names ...string) { s.remove(names, patterns, firmly) }

// RemoveShards is Remove for channels of sharded pub/sub.
func (s *Subscription) RemoveShards(names ...string) { s.remove(names, shards, firmly) }

// RemoveLooseShards takes back AddShardsLoosely; a channel that AddShards named as well stays.
func (s *Subscription) RemoveLooseShards(names ...string) { s.remove(names, shards, loosely) }

func (s *Subscription) add(names []string, k kind, w wish) {
	s.change(names, k, func(was wish) wish { return was | w })
}

func (s *Subscription) remove(names []string, k kind, w wish) {
	s.change(names, k, func(was wish) wish { return was &^ w })
}

func (s *Subscription) change(names []string, k kind, revise func(was wish) wish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		t := topic{name, k}
		was := s.want[t]
		now := revise(was)
		if _, ok := s.active[t]; !ok {
			s.missing += int(now&firmly) - int(was&firmly)
		}
		if s.want[t] = now; now == 0 {
			delete(s.want, t)
		}
		if (was == 0) != (now == 0) {
			s.dirty[t] = struct{}{}
		}
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Up tells whether everything that is wanted is confirmed by Redis at this moment.
func (s *Subscription) Up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upLocked()
}

func (s *Subscription) upLocked() bool { return s.up && s.missing == 0 }

// Settled tells whether Redis has confirmed everything at this moment, what is wanted loosely and what is no longer wanted
// included.
func (s *Subscription) Settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.want {
		if _, ok := s.active[t]; !ok {
			return false
		}
	}
	return s.up && len(s.active) == len(s.want)
}

// refuse notes that Redis does not let us listen.
func (s *Subscription) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = err
	s.tellLocked()
}

// Wait returns when Up is true, or with ctx's error, or with [ErrRights] or [ErrAuth] when Redis does not let us listen:
// waiting would not help then, though Run goes on trying.
func (s *Subscription) Wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		up, refused, changed := s.upLocked(), s.refused, s.changed
		s.mu.Unlock()
		switch {
		case up:
			return nil
		case refused != nil:
			return refused
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
