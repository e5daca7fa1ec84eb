package redisconn

import (
	"context"
	"errors"
	"sync"
	"time"

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

// SubConfig says what a [Subscription] listens to and whom it tells. All callbacks run one at a time, so none may wait for
// something that Run delivers.
type SubConfig struct {
	// Name says in log lines what the subscription is for.
	Name string
	// Channels and Patterns are what is wanted from the start; Add and Remove change it.
	Channels, Patterns []string
	// OnMessage gets each message in the order in which Redis sent it; in a cluster there is no order between messages of
	// shard channels of different nodes. Channel and payload are not to be written to, and valid until it returns; for ever
	// when it says that it kept anything of them: their memory is read into again otherwise. While OnMessage runs
	// nothing is read: backpressure reaches Redis, which cuts off a subscriber that lags by its
	// client-output-buffer-limit; that shows as OnDown, OnUp.
	OnMessage func(channel string, payload []byte) (kept bool)
	// MaxPayload bounds the bytes of a message. Longer ones are read past, without being held:
	// OnOversized gets their channel and size in place of OnMessage. Zero: 512 MB, Redis's own
	// bound. OnOversized may be nil.
	MaxPayload  int
	OnOversized func(channel string, size int)
	// OnUp is called when Redis has confirmed all that is wanted, after each (re)connect: from here on nothing is missed
	// until OnDown. Nil is allowed, as for OnDown.
	OnUp func()
	// OnDown is called when a connection is lost or Redis does not answer there, or when another
	// node of a cluster took over a shard channel of AddShards: messages may be missed until OnUp.
	OnDown func()
	// OnResumed is called in the place of OnUp when Redis has said nothing for a while and goes on
	// over the same connection: nothing was missed. Nil: OnUp is called.
	OnResumed func()
	// OnMoved is called when another node took over shard channels of AddShardsLoosely, with their number: messages there may
	// be missed for a moment. Nil is allowed.
	OnMoved func(channels int)
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

// interest says in which ways a topic is wanted.
type interest byte

const (
	firmly  interest = 1 << iota // Up and Wait are about it
	loosely                      // they are not
)

// topic is a channel, a pattern or a shard channel.
type topic struct {
	name string
	kind kind
}

// Subscription listens on connections of its own: one, and in a cluster one more for each node that serves shard channels
// which are wanted. Everything but Run may be called concurrently and never blocks on Redis (Wait waits by design).
type Subscription struct {
	conn *Conn
	cfg  SubConfig
	wake chan struct{} // there is something for place to do
	told sync.Mutex    // held while a callback runs, and while up changes

	mu      sync.Mutex // guards the rest
	want    map[topic]interest
	active  map[topic]struct{} // confirmed by Redis on the connection that it is bound to
	missing int                // topics that Up is about and that are not active
	lost    map[topic]struct{} // wanted, and not active since a connection ended: what OnUp waits for
	links   map[string]*link   // by place
	routing                    // where shard channels of a cluster are
	up      bool
	mute    bool          // down, and no connection has ended since: Redis is only silent
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
		want:    make(map[topic]interest),
		active:  make(map[topic]struct{}),
		lost:    make(map[topic]struct{}),
		links:   make(map[string]*link),
		routing: newRouting(),
		changed: make(chan struct{}),
	}
	s.Add(cfg.Channels...)
	s.AddPatterns(cfg.Patterns...)
	return s
}

// Run listens until ctx ends, reconnecting as often as it must. Call it once.
func (s *Subscription) Run(ctx context.Context) error {
	var running sync.WaitGroup
	s.begin()
	for ctx.Err() == nil {
		again := s.place(ctx, &running)
		s.rise()
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	running.Wait()
	s.fall()
	return nil
}

// begin has OnUp wait for all that is wanted from the start.
func (s *Subscription) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.want {
		s.lost[t] = struct{}{}
	}
}

// start makes a link and runs it. It has to be sent all topics that are bound to it.
func (s *Subscription) startLocked(ctx context.Context, running *sync.WaitGroup, place string, node *redis.Client) *link {
	l := newLink(s, place, node)
	s.links[place] = l
	running.Go(func() {
		s.ended(ctx, l, l.run(ctx))
	})
	return l
}

// ended takes note of a link that has ended: all that was bound to it is missed from now on.
func (s *Subscription) ended(ctx context.Context, l *link, err error) {
	s.told.Lock()
	defer s.told.Unlock()
	s.mu.Lock()
	affected := s.unbindLocked(l)
	delete(s.links, l.place)
	s.restLocked(l)
	down := s.up && affected
	if down {
		s.up = false
	}
	s.mute = false
	s.tellLocked()
	s.mu.Unlock()
	defer s.poke()
	if ctx.Err() != nil {
		if down && s.cfg.OnDown != nil {
			s.cfg.OnDown()
		}
		return
	}
	if l.alive {
		s.conn.Doubt()
		line := s.conn.log.Warn().Str("subscription", s.cfg.Name).Err(err)
		if s.conn.cluster != nil {
			line.Str("node", l.node.Options().Addr)
		}
		line.Msg("subscription lost")
	} else {
		s.refuse(refusal(err))
	}
	if down && s.cfg.OnDown != nil {
		s.cfg.OnDown()
	}
}

// unbindLocked makes inactive what was bound to a link, and tells whether anything was that is still wanted.
func (s *Subscription) unbindLocked(l *link) (affected bool) {
	affected = l.place == home
	for t := range s.want {
		if s.linkLocked(t) != l {
			continue
		}
		affected = true
		s.loseLocked(t)
		s.lost[t] = struct{}{}
	}
	for t := range s.active {
		if s.want[t] == 0 && (l.place == home || s.linkLocked(t) == l) {
			delete(s.active, t)
		}
	}
	s.unrouteLocked(l)
	return affected
}

// loseLocked notes that a wanted topic is not heard any more.
func (s *Subscription) loseLocked(t topic) {
	s.deactivateLocked(t)
	if s.roamsLocked(t) {
		s.strays[t] = struct{}{}
	}
}

// pending returns what is to be sent on a link, by kind.
func (s *Subscription) pending(l *link) (add, remove [shards + 1][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range l.dirty {
		if _, ok := s.want[t]; ok {
			add[t.kind] = append(add[t.kind], t.name)
			continue
		}
		remove[t.kind] = append(remove[t.kind], t.name)
		if l.place != home {
			l.leaving[t]++
		}
	}
	clear(l.dirty)
	return add, remove
}

// confirm notes Redis's answer to one (un)subscribe, or its word that it serves a shard channel no more.
func (s *Subscription) confirm(l *link, kind, channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tellLocked()
	switch kind {
	case "subscribe":
		s.activateLocked(topic{channel, channels})
	case "psubscribe":
		s.activateLocked(topic{channel, patterns})
	case "ssubscribe":
		if t := (topic{channel, shards}); s.linkLocked(t) == l {
			s.activateLocked(t)
		}
	case "unsubscribe":
		s.deactivateLocked(topic{channel, channels})
	case "punsubscribe":
		s.deactivateLocked(topic{channel, patterns})
	case "sunsubscribe":
		s.leftLocked(l, topic{channel, shards})
	}
}

func (s *Subscription) activateLocked(t topic) {
	delete(s.lost, t)
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

// answered notes a link's first pong: everything that it was sent before is confirmed.
func (s *Subscription) answered(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.alive = true
	s.refused = nil
	delete(s.rests, l.place)
	s.tellLocked()
}

// rise calls OnUp if everything that was lost is heard again.
func (s *Subscription) rise() {
	s.told.Lock()
	defer s.told.Unlock()
	s.riseTold()
}

// riseTold is rise for who holds told.
func (s *Subscription) riseTold() {
	s.mu.Lock()
	l := s.links[home]
	rises := !s.up && len(s.lost) == 0 && l != nil && l.alive
	tell := s.cfg.OnUp
	if s.mute && s.cfg.OnResumed != nil {
		tell = s.cfg.OnResumed
	}
	s.mu.Unlock()
	if !rises {
		return
	}
	if tell != nil {
		tell()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.up, s.mute = true, false // after OnUp: who waited finds all done that it does
	s.tellLocked()
}

// fallSilent calls OnDown, since Redis does not answer, though the connection may go on.
func (s *Subscription) fallSilent() {
	s.told.Lock()
	defer s.told.Unlock()
	s.mu.Lock()
	was := s.up
	if was {
		s.up, s.mute = false, true
	}
	s.tellLocked()
	s.mu.Unlock()
	if !was {
		return
	}
	s.conn.Doubt()
	s.conn.log.Warn().Str("subscription", s.cfg.Name).Msg("Redis does not answer the subscription; waiting for it")
	if s.cfg.OnDown != nil {
		s.cfg.OnDown()
	}
}

// fall calls OnDown if OnUp was the last that was called.
func (s *Subscription) fall() {
	s.told.Lock()
	defer s.told.Unlock()
	s.mu.Lock()
	was := s.up
	s.up = false
	s.tellLocked()
	s.mu.Unlock()
	if was && s.cfg.OnDown != nil {
		s.cfg.OnDown()
	}
}

func (s *Subscription) tellLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// poke has Run look for something to do.
func (s *Subscription) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
