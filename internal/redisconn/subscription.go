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

// SubConfig configures a [Subscription]. All callbacks run one at a time, so they must not wait for
// anything that Run delivers.
type SubConfig struct {
	// Name identifies the subscription in log lines.
	Name string
	// Channels and Patterns are wanted from the start. Add and Remove change them.
	Channels, Patterns []string
	// OnMessage gets each message in the order in which Redis sent it. In a cluster, messages of
	// different nodes' shard channels have no order. The callback must not write to channel and
	// payload. They're valid until it returns, and for ever if it reports that it kept any part;
	// otherwise their memory is reused. While OnMessage runs nothing is read, so back-pressure
	// reaches Redis. Redis cuts off a subscriber that lags (client-output-buffer-limit), which
	// shows as OnDown, then OnUp.
	OnMessage func(channel string, payload []byte) (kept bool)
	// MaxPayload bounds the bytes of a message. Longer messages are skipped without being buffered,
	// and OnOversized gets their channel and size. Zero means 512 MB, Redis's own bound.
	// OnOversized may be nil.
	MaxPayload  int
	OnOversized func(channel string, size int)
	// OnUp is called when Redis has confirmed everything wanted, after each (re)connect. From then
	// on nothing is missed until OnDown. Both may be nil.
	OnUp func()
	// OnDown is called when a connection is lost or Redis doesn't answer there, or when another
	// node of a cluster took over a shard channel of AddShards. Messages may be missed until OnUp.
	OnDown func()
	// OnResumed replaces OnUp if Redis was silent for a while and continues over the same
	// connection: nothing was missed. Nil: OnUp is called.
	OnResumed func()
	// OnMoved is called with the number of shard channels of AddShardsLoosely that another node
	// took over. Their messages may be missed for a moment. It may be nil.
	OnMoved func(channels int)
	// Silence is how long Redis may say nothing before it gets a PING. It then has 2 s to answer.
	// Zero means 3 s.
	Silence time.Duration
}

// kind says how a topic is subscribed to.
type kind byte

const (
	channels kind = iota
	patterns
	shards // channels of sharded pub/sub, which have names of their own
)

// interest says how a topic is wanted.
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

// Subscription listens on its own connections: one, and in a cluster one more per node that serves
// wanted shard channels. Everything but Run may be called concurrently. Nothing but Wait blocks on
// Redis.
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

// Subscribe makes a Subscription. It connects when Run is called.
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

// Run listens until ctx ends, and reconnects as often as necessary. Call it once.
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

// begin makes OnUp wait for everything that is wanted from the start.
func (s *Subscription) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.want {
		s.lost[t] = struct{}{}
	}
}

// start makes a link and runs it. The caller must send it all topics bound to it.
func (s *Subscription) startLocked(ctx context.Context, running *sync.WaitGroup, place string, node *redis.Client) *link {
	l := newLink(s, place, node)
	s.links[place] = l
	running.Go(func() {
		s.ended(ctx, l, l.run(ctx))
	})
	return l
}

// ended records the end of a link: its topics are missed from now on.
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
		fields := []any{"subscription", s.cfg.Name, "error", err}
		if s.conn.cluster != nil {
			fields = append(fields, "node", l.node.Options().Addr)
		}
		s.conn.log.Warn("subscription lost", fields...)
	} else {
		s.refuse(refusal(err))
	}
	if down && s.cfg.OnDown != nil {
		s.cfg.OnDown()
	}
}

// unbindLocked deactivates the topics of a link. It reports whether any is still wanted.
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

// loseLocked records that a wanted topic isn't heard any more.
func (s *Subscription) loseLocked(t topic) {
	s.deactivateLocked(t)
	if s.roamsLocked(t) {
		s.strays[t] = struct{}{}
	}
}

// pending returns the commands to send on a link, by kind.
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

// confirm records Redis's answer to one (un)subscribe, or its notice that it no longer serves a
// shard channel.
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

// answered records a link's first pong: Redis has confirmed everything sent before.
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

// riseTold is rise for callers that hold told.
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

// fallSilent calls OnDown, since Redis doesn't answer. The connection may continue.
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
	s.conn.log.Warn("Redis doesn't answer the subscription; waiting for it", "subscription", s.cfg.Name)
	if s.cfg.OnDown != nil {
		s.cfg.OnDown()
	}
}

// fall calls OnDown if the last call was OnUp.
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

// poke wakes Run.
func (s *Subscription) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
