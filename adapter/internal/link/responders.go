package link

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// responders are the servers that have to answer a request, and those that have. Our own peers are
// known by their uids; of Node's servers only the number of subscribers is known.
type responders struct {
	expected int                 // answers, at the beginning
	waiting  map[string]struct{} // peers that have to answer
	silent   map[string]struct{} // peers that Redis may count but nobody waits for
	answered map[string]struct{}
	unnamed  int // answers without a name that have to come
	came     int // answers without a name that came
	got      int // answers of both kinds

	listening int // subscribers of the request channel besides this process
}

func newResponders() *responders {
	return &responders{waiting: make(map[string]struct{}), silent: make(map[string]struct{}), answered: make(map[string]struct{})}
}

// responders finds out which servers have the namespace besides this process. Each server
// subscribes exactly once to the namespace's request channel. The subscribers that aren't our peers
// are Node's servers.
//
// Redis counts channel by channel and does nothing else meanwhile: a thousand take 190 µs. So a
// request doesn't ask for each peer. Every process of ours listens to the heartbeats: as long as
// the heartbeat channel has as many subscribers as this process knows peers, all of them are there.
func (a *asker) responders(ctx context.Context) (*responders, error) {
	who := a.ns.link.peers.presence(a.ns.Name)
	group := a.ns.link.Config.Group.others(a.ns.Name, a.ns.UID)
	requests := a.ns.protocol.RequestChannel()
	channels := make([]string, 0, 3+len(group))
	channels = append(channels, requests, a.ns.Own, a.ns.link.peers.channel)
	for _, uid := range group {
		channels = append(channels, a.ns.protocol.AnswerChannel(uid))
	}
	r := newResponders()
	count, whole, err := a.ns.link.numSub(ctx, channels)
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrAway, err)
	}
	others := int(count[requests])
	if !a.ns.link.Config.AskOnly {
		others -= int(count[a.ns.Own])
	}
	for _, uid := range group {
		others -= int(min(count[a.ns.protocol.AnswerChannel(uid)], 1))
	}
	unnamed := others - len(who.living) - len(who.silent)
	if whole && (count[a.ns.link.peers.channel] != int64(who.processes+1) || unnamed < 0) {
		return a.countEach(ctx, r, who, others)
	}
	r.expectAll(who, others)
	return r, nil
}

// expectAll waits for every peer that beats. That is right if all of them are counted, and if a
// node of a cluster didn't count at all: its silence doesn't mean that its subscribers have gone.
func (r *responders) expectAll(who presence, others int) {
	for _, uid := range who.living {
		r.waiting[uid] = struct{}{}
	}
	for _, uid := range who.silent {
		r.silent[uid] = struct{}{}
	}
	r.count(others, others-len(who.living)-len(who.silent))
}

// countEach counts peer by peer, because some were killed or have started a moment ago.
func (a *asker) countEach(ctx context.Context, r *responders, who presence, others int) (*responders, error) {
	uids := slices.Concat(who.living, who.silent, who.unsubscribed)
	channels := make([]string, len(uids))
	for i, uid := range uids {
		channels[i] = a.ns.protocol.AnswerChannel(uid)
	}
	count := map[string]int64{}
	if len(channels) > 0 {
		found, whole, err := a.ns.link.numSub(ctx, channels)
		if err != nil {
			return r, fmt.Errorf("%w: %w", ErrAway, err)
		}
		if count = found; !whole {
			r.expectAll(who, others)
			return r, nil
		}
	}
	unnamed := others
	var gone, unsubscribed, subscribed []string
	for i, uid := range uids {
		silent := i >= len(who.living) && i < len(who.living)+len(who.silent)
		if silent {
			r.silent[uid] = struct{}{}
		}
		switch listens := count[channels[i]] > 0; {
		case listens && silent:
			unnamed--
		case listens:
			r.waiting[uid] = struct{}{}
			unnamed--
			subscribed = append(subscribed, uid)
		case silent:
			gone = append(gone, uid)
		default: // it was killed, or its own outage isn't over: it wouldn't hear the question
			unsubscribed = append(unsubscribed, uid)
		}
	}
	a.ns.link.peers.forgetSilent(gone)
	a.ns.link.peers.noteUnsubscribed(unsubscribed, true)
	a.ns.link.peers.noteUnsubscribed(subscribed, false)
	r.count(others, unnamed)
	return r, nil
}

// count notes the number of subscribers besides this process, and how many of them aren't our
// peers.
func (r *responders) count(others, unnamed int) {
	r.listening, r.unnamed = others, max(unnamed, 0)
	r.expected = len(r.waiting) + r.unnamed
}

// NumShardSub counts the subscribers of channels of sharded pub/sub on one node. Channels may
// include the heartbeat's, which is an ordinary one.
func (l *Link) NumShardSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	ordinary := l.peers.channel
	i := slices.Index(channels, ordinary)
	if i < 0 {
		return node.PubSubShardNumSub(ctx, channels...).Result()
	}
	pipe := node.Pipeline()
	sharded := pipe.PubSubShardNumSub(ctx, slices.Delete(slices.Clone(channels), i, i+1)...)
	beats := pipe.PubSubNumSub(ctx, ordinary)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	count := sharded.Val()
	count[ordinary] = beats.Val()[ordinary]
	return count, nil
}

// dropDead stops a request from waiting for peers that no longer subscribe. Redis notices at once
// that a process was killed; its missing beats show that only later.
func (a *asker) dropDead(ctx context.Context, waiting request) {
	uids := waiting.owing()
	if len(uids) == 0 {
		return
	}
	channels := make([]string, len(uids))
	for i, uid := range uids {
		channels[i] = a.ns.protocol.AnswerChannel(uid)
	}
	ctx, cancel := context.WithTimeout(ctx, firstCheck)
	defer cancel()
	count, whole, err := a.ns.link.numSub(ctx, channels)
	if err != nil {
		return // the next check may tell, or the outage ends the request
	}
	var listening []string
	for i, uid := range uids {
		switch {
		case count[channels[i]] > 0:
			listening = append(listening, uid)
		case whole:
			waiting.drop(uid)
		}
	}
	a.ns.link.peers.requestBeats(ctx, listening)
}

// add notes an answer, and reports whether it is the first of its server, as far as that can be
// known.
func (r *responders) add(uid string) (first bool) {
	if uid == "" {
		r.came++
		r.got++
		return true
	}
	if r.has(uid) {
		return false
	}
	r.got++
	r.answered[uid] = struct{}{}
	_, waited := r.waiting[uid]
	_, silent := r.silent[uid]
	delete(r.waiting, uid)
	if !waited && !silent {
		r.came++ // a peer that hadn't announced itself yet was counted as one of Node's
	}
	return true
}

// has reports whether uid has answered before.
func (r *responders) has(uid string) bool {
	_, ok := r.answered[uid]
	return ok
}

// drop stops waiting for a peer.
func (r *responders) drop(uid string) {
	delete(r.waiting, uid)
	r.silent[uid] = struct{}{}
}

// complete reports whether everybody has answered. A peer of an older version may answer without
// its name.
func (r *responders) complete() bool { return r.came >= r.unnamed+len(r.waiting) }

// missing returns the peers that haven't answered.
func (r *responders) missing() (uids []string) {
	for uid := range r.waiting {
		uids = append(uids, uid)
	}
	return uids
}
