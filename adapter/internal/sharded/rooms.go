package sharded

import (
	"context"
	"slices"
	"sync"
	"time"
)

// roomSubscriber is the part of a subscription that rooms need. Both methods gather: the next
// command names all rooms that were added while the last one was being written.
type roomSubscriber interface {
	AddShardsLoosely(channels ...string)
	RemoveLooseShards(channels ...string)
}

// roomChannels are the channels of rooms with somebody in them, and for a while those of rooms that
// emptied.
type roomChannels struct {
	sub    func() roomSubscriber // the subscription is made after this
	linger time.Duration
	wake   chan struct{}

	mu        sync.Mutex // guards the rest
	byChannel map[string]*roomChannel
	empty     []emptied // ordered by due
}

// roomChannel is a subscribed channel, usually of one room. A number and its text share a channel,
// and so do rooms of two namespaces whose names contain a #.
type roomChannel struct {
	rooms []roomOf
	empty bool
	left  int // how often it emptied: only the last time counts
}

type roomOf struct {
	n    *namespace
	room string
}

// occupied reports whether somebody is in one of the rooms.
func (rc *roomChannel) occupied() bool {
	return slices.ContainsFunc(rc.rooms, func(r roomOf) bool { return r.n.HasRoom([]byte(r.room)) })
}

// emptied is a channel to leave, unless somebody joins again meanwhile.
type emptied struct {
	channel string
	of      *roomChannel
	left    int
	due     time.Time
}

func newRoomChannels(sub func() roomSubscriber, linger time.Duration) *roomChannels {
	return &roomChannels{sub: sub, linger: linger, wake: make(chan struct{}, 1), byChannel: make(map[string]*roomChannel)}
}

// update subscribes to the channel of a joined room if somebody is in it, and lets the channel of
// an empty room linger.
func (c *roomChannels) update(n *namespace, channel, room string, joined bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rc := c.byChannel[channel]
	switch {
	case n.Closed():
		return
	case rc == nil && (!joined || !n.HasRoom([]byte(room))):
		return
	case rc == nil:
		rc = new(roomChannel)
		c.byChannel[channel] = rc
		c.sub().AddShardsLoosely(channel)
	}
	if r := (roomOf{n, room}); joined && !slices.Contains(rc.rooms, r) {
		rc.rooms = append(rc.rooms, r)
	}
	was := rc.empty
	rc.empty = !rc.occupied()
	if !rc.empty || was {
		return
	}
	rc.left++
	c.empty = append(c.empty, emptied{channel, rc, rc.left, time.Now().Add(c.linger)})
	if len(c.empty) == 1 {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// forget leaves all channels of a namespace.
func (c *roomChannels) forget(n *namespace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []string
	for channel, rc := range c.byChannel {
		if rc.rooms = slices.DeleteFunc(rc.rooms, func(r roomOf) bool { return r.n == n }); len(rc.rooms) == 0 {
			left = append(left, channel)
			delete(c.byChannel, channel)
		}
	}
	c.sub().RemoveLooseShards(left...)
}

// run leaves the channels that have lingered, many at once, until ctx ends.
func (c *roomChannels) run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-timer.C:
		}
		if wait, any := c.leaveDue(time.Now()); any {
			timer.Reset(wait)
		}
	}
}

// gathered is how much longer than Linger a channel may stay, so that one command leaves many.
const gathered = 50 * time.Millisecond

// leaveDue leaves the channels whose time has come, and returns how long the next one has.
func (c *roomChannels) leaveDue(now time.Time) (wait time.Duration, any bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []string
	for len(c.empty) > 0 && !c.empty[0].due.After(now) {
		e := c.empty[0]
		c.empty = c.empty[1:]
		if rc := c.byChannel[e.channel]; rc == e.of && rc.empty && rc.left == e.left {
			left = append(left, e.channel)
			delete(c.byChannel, e.channel)
		}
	}
	if len(left) > 0 {
		c.sub().RemoveLooseShards(left...)
	}
	if len(c.empty) == 0 {
		c.empty = nil
		return 0, false
	}
	return c.empty[0].due.Sub(now) + gathered, true
}
