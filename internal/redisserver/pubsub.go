package redisserver

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/alicebob/miniredis/v2/server"
)

// pubsub is who of the embedded Redis's clients listens to what. Each message goes to all its
// subscribers before the next goes to any, so everybody hears all messages in one order, through
// channels and patterns alike.
type pubsub struct {
	mu       sync.Mutex // guards the rest, and each subscriber's topics
	channels map[string]map[*subscriber]struct{}
	patterns map[string]map[*subscriber]struct{}
	frame    []byte // scratch
}

// subscriber is one connection as pubsub sees it. Only its connection's goroutine changes what it
// listens to.
type subscriber struct {
	out    *outbox
	resp3  atomic.Bool // messages and confirmations are pushes, not arrays
	topics map[listening]struct{}
}

// listening is a channel or a pattern of a subscriber.
type listening struct {
	name    string
	pattern bool
}

func newPubsub() *pubsub {
	return &pubsub{
		channels: make(map[string]map[*subscriber]struct{}),
		patterns: make(map[string]map[*subscriber]struct{}),
	}
}

func (p *pubsub) byName(pattern bool) map[string]map[*subscriber]struct{} {
	if pattern {
		return p.patterns
	}
	return p.channels
}

// subscribe is SUBSCRIBE or, with pattern, PSUBSCRIBE. Confirmations leave through the outbox, in
// their place among the messages. It returns how much s listens to, as unsubscribe does.
func (p *pubsub) subscribe(s *subscriber, names []string, pattern bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.byName(pattern)
	for _, name := range names {
		if all[name] == nil {
			all[name] = make(map[*subscriber]struct{})
		}
		all[name][s] = struct{}{}
		s.topics[listening{name, pattern}] = struct{}{}
		p.confirmLocked(s, "subscribe", name, pattern)
	}
	return len(s.topics)
}

// unsubscribe is UNSUBSCRIBE or PUNSUBSCRIBE: without names, from all.
func (p *pubsub) unsubscribe(s *subscriber, names []string, pattern bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(names) == 0 {
		for t := range s.topics {
			if t.pattern == pattern {
				names = append(names, t.name)
			}
		}
		slices.Sort(names)
	}
	for _, name := range names {
		p.removeLocked(s, listening{name, pattern})
		p.confirmLocked(s, "unsubscribe", name, pattern)
	}
	if len(names) == 0 { // there is always an answer
		p.beginLocked(3)
		p.appendKindLocked("unsubscribe", pattern)
		if s.resp3.Load() {
			p.frame = append(p.frame, "_\r\n"...)
		} else {
			p.frame = append(p.frame, "$-1\r\n"...)
		}
		p.appendCountLocked(s)
		p.pushLocked(s)
	}
	return len(s.topics)
}

// drop forgets all that s listens to, without a word to it.
func (p *pubsub) drop(s *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range s.topics {
		p.removeLocked(s, t)
	}
}

func (p *pubsub) removeLocked(s *subscriber, t listening) {
	delete(s.topics, t)
	all := p.byName(t.pattern)
	if delete(all[t.name], s); len(all[t.name]) == 0 {
		delete(all, t.name)
	}
}

// publish returns how many times the message was delivered: once for each channel and each pattern
// of a subscriber.
func (p *pubsub) publish(channel, message string) (deliveries int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to := p.channels[channel]; len(to) > 0 {
		p.beginLocked(3)
		p.frame = appendBulk(appendBulk(appendBulk(p.frame, "message"), channel), message)
		deliveries += p.pushAllLocked(to)
	}
	for pattern, to := range p.patterns {
		if globMatch(pattern, channel) {
			p.beginLocked(4)
			p.frame = appendBulk(appendBulk(appendBulk(appendBulk(p.frame, "pmessage"), pattern), channel), message)
			deliveries += p.pushAllLocked(to)
		}
	}
	if cap(p.frame) > outboxKeep {
		p.frame = nil
	}
	return deliveries
}

func (p *pubsub) pushAllLocked(to map[*subscriber]struct{}) int {
	for s := range to {
		p.pushLocked(s)
	}
	return len(to)
}

func (p *pubsub) confirmLocked(s *subscriber, kind, name string, pattern bool) {
	p.beginLocked(3)
	p.appendKindLocked(kind, pattern)
	p.frame = appendBulk(p.frame, name)
	p.appendCountLocked(s)
	p.pushLocked(s)
}

func (p *pubsub) appendKindLocked(kind string, pattern bool) {
	if pattern {
		kind = "p" + kind
	}
	p.frame = appendBulk(p.frame, kind)
}

func (p *pubsub) appendCountLocked(s *subscriber) {
	p.frame = append(p.frame, ':')
	p.frame = strconv.AppendInt(p.frame, int64(len(s.topics)), 10)
	p.frame = append(p.frame, "\r\n"...)
}

// beginLocked starts a frame of so many parts.
func (p *pubsub) beginLocked(parts int64) {
	p.frame = strconv.AppendInt(append(p.frame[:0], '*'), parts, 10)
	p.frame = append(p.frame, "\r\n"...)
}

// pushLocked sends the frame, whose first byte is all in which RESP3 differs.
func (p *pubsub) pushLocked(s *subscriber) {
	if p.frame[0] = '*'; s.resp3.Load() {
		p.frame[0] = '>'
	}
	s.out.push(p.frame)
}

func appendBulk(dst []byte, s string) []byte {
	dst = strconv.AppendInt(append(dst, '$'), int64(len(s)), 10)
	dst = append(append(dst, "\r\n"...), s...)
	return append(dst, "\r\n"...)
}

// answer is miniredis's hook before each command: it answers PUBLISH and PUBSUB, those of scripts
// included. A false leaves the command to miniredis, and with it what is malformed: its own pub/sub
// has no subscribers.
func (p *pubsub) answer(c *server.Peer, name string, args ...string) bool {
	switch {
	case name == "PUBLISH" && len(args) == 2:
		c.WriteInt(p.publish(args[0], args[1]))
	case name == "PUBSUB" && len(args) > 0:
		return p.answerQuestion(c, strings.ToUpper(args[0]), args[1:])
	default:
		return false
	}
	return true
}

func (p *pubsub) answerQuestion(c *server.Peer, question string, args []string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case question == "CHANNELS" && len(args) < 2:
		channels := slices.Sorted(maps.Keys(p.channels))
		if len(args) == 1 {
			channels = slices.DeleteFunc(channels, func(name string) bool { return !globMatch(args[0], name) })
		}
		c.WriteStrings(channels)
	case question == "NUMSUB":
		c.WriteLen(2 * len(args))
		for _, name := range args {
			c.WriteBulk(name)
			c.WriteInt(len(p.channels[name]))
		}
	case question == "NUMPAT" && len(args) == 0:
		c.WriteInt(len(p.patterns))
	default:
		return false
	}
	return true
}
