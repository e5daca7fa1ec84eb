package redisconn

import (
	"context"
	"errors"
)

// Add subscribes to further channels, now or on the next connection.
func (s *Subscription) Add(names ...string) { s.add(names, channels, firmly) }

// AddPatterns is Add for patterns in Redis's glob style.
func (s *Subscription) AddPatterns(names ...string) { s.add(names, patterns, firmly) }

// AddShards is Add for channels of sharded pub/sub (Redis 7 or later).
func (s *Subscription) AddShards(names ...string) { s.add(names, shards, firmly) }

// AddShardsLoosely is AddShards for channels that come and go. Up and Wait ignore them. OnUp waits
// for those that are wanted by then.
func (s *Subscription) AddShardsLoosely(names ...string) { s.add(names, shards, loosely) }

// Remove unsubscribes from channels. Messages under way still arrive.
func (s *Subscription) Remove(names ...string) { s.remove(names, channels, firmly) }

// RemovePatterns is Remove for patterns.
func (s *Subscription) RemovePatterns(names ...string) { s.remove(names, patterns, firmly) }

// RemoveShards is Remove for channels of sharded pub/sub.
func (s *Subscription) RemoveShards(names ...string) { s.remove(names, shards, firmly) }

// RemoveLooseShards undoes AddShardsLoosely. Channels of AddShards stay.
func (s *Subscription) RemoveLooseShards(names ...string) { s.remove(names, shards, loosely) }

func (s *Subscription) add(names []string, k kind, w interest) {
	s.change(names, k, func(was interest) interest { return was | w })
}

func (s *Subscription) remove(names []string, k kind, w interest) {
	s.change(names, k, func(was interest) interest { return was &^ w })
}

func (s *Subscription) change(names []string, k kind, revise func(was interest) interest) {
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
			delete(s.lost, t)
		}
		if (was == 0) != (now == 0) {
			s.resendLocked(t, now != 0)
		}
	}
	s.poke()
}

// resendLocked makes a topic's link tell Redis whether the topic is wanted.
func (s *Subscription) resendLocked(t topic, wanted bool) {
	switch l := s.linkLocked(t); {
	case l != nil:
		l.dirty[t] = struct{}{}
		l.nudge()
	case !s.roamsLocked(t): // the next connection is told of all
	case wanted:
		s.strays[t] = struct{}{}
	default:
		delete(s.strays, t)
	}
}

// Up reports whether Redis has confirmed everything that is wanted.
func (s *Subscription) Up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upLocked()
}

func (s *Subscription) upLocked() bool { return s.up && s.missing == 0 }

// Settled reports whether Redis has confirmed everything, including loosely wanted channels and
// removals.
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

// refuse records that Redis forbids the subscription, and logs it once. Only an operator can fix
// it.
func (s *Subscription) refuse(err error) {
	if !errors.Is(err, ErrRights) && !errors.Is(err, ErrAuth) && !errors.Is(err, ErrNoShards) {
		return
	}
	s.mu.Lock()
	news := s.refused == nil || s.refused.Error() != err.Error()
	s.refused = err
	s.tellLocked()
	s.mu.Unlock()
	if news {
		s.conn.log.Error("subscription refused", "subscription", s.cfg.Name, "error", err)
	}
}

// Wait returns when Up is true, or with ctx's error. If Redis forbids the subscription it returns
// [ErrRights], [ErrAuth] or [ErrNoShards], though Run continues to try.
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
