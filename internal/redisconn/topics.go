package redisconn

import (
	"context"
	"errors"
)

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

// resendLocked has a topic's link tell Redis whether it is wanted.
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

// refuse notes that Redis does not let us listen, and logs it once: reconnecting will not help, an operator will.
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
		s.conn.log.Error().Str("subscription", s.cfg.Name).Err(err).Msg("subscription refused")
	}
}

// Wait returns when Up is true, or with ctx's error, or with [ErrRights], [ErrAuth] or [ErrNoShards] when Redis does not let
// us listen: waiting would not help then, though Run goes on trying.
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
