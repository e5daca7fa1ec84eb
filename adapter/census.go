package adapter

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"
)

// tally is who is to answer a request, and who has. Our own peers are known by their uids; of Node's servers only how
// many subscribe.
type tally struct {
	expected int                 // answers, at the beginning
	waiting  map[string]struct{} // peers that are to answer
	ghosts   map[string]struct{} // peers that are silent: Redis may count them, but nobody waits for them
	answered map[string]struct{}
	rest     int // answers that carry no name, wanted
	nameless int // and had
	got      int // answers of both kinds

	listening int // subscribers of the request channel besides this process, whoever they are
}

func newTally() *tally {
	return &tally{waiting: make(map[string]struct{}), ghosts: make(map[string]struct{}), answered: make(map[string]struct{})}
}

// census finds out who has the namespace besides this process. A server holds exactly one subscription to the
// namespace's request channel; those that are not our peers' are Node's.
//
// Redis counts names one by one, while nothing else is done there: a thousand take 190 µs. So it is not asked for each peer.
// Every process of ours listens to the heartbeats: as long as that many do as are known here, all of them are there.
func (n *namespace) census(ctx context.Context) (*tally, error) {
	who := n.r.peers.of(n.name)
	group := n.r.cfg.Group.others(n.name, n.uid)
	channels := make([]string, 0, 3+len(group))
	channels = append(channels, n.talk.counted(), n.own, n.r.peers.channel)
	for _, uid := range group {
		channels = append(channels, n.talk.answersTo(uid))
	}
	t := newTally()
	count, whole, err := n.r.numSub(ctx, channels)
	if err != nil {
		return t, fmt.Errorf("%w: %w", ErrAway, err)
	}
	others := int(count[n.talk.counted()] - count[n.own])
	for _, uid := range group {
		others -= int(min(count[n.talk.answersTo(uid)], 1))
	}
	rest := others - len(who.living) - len(who.silent)
	if whole && (count[n.r.peers.channel] != int64(who.processes+1) || rest < 0) {
		return n.callRoll(ctx, t, who, others)
	}
	t.believe(who, others)
	return t, nil
}

// believe waits for every peer that beats. That is right where all of them are counted, and where a node of a cluster did not
// say whom it has: not heard of is not gone.
func (t *tally) believe(who attendance, others int) {
	for _, uid := range who.living {
		t.waiting[uid] = struct{}{}
	}
	for _, uid := range who.silent {
		t.ghosts[uid] = struct{}{}
	}
	t.count(others, others-len(who.living)-len(who.silent))
}

// callRoll counts peer by peer: some were killed a moment ago, or have just come.
func (n *namespace) callRoll(ctx context.Context, t *tally, who attendance, others int) (*tally, error) {
	uids := slices.Concat(who.living, who.silent, who.deaf)
	channels := make([]string, len(uids))
	for i, uid := range uids {
		channels[i] = n.talk.answersTo(uid)
	}
	count := map[string]int64{}
	if len(channels) > 0 {
		found, whole, err := n.r.numSub(ctx, channels)
		if err != nil {
			return t, fmt.Errorf("%w: %w", ErrAway, err)
		}
		if count = found; !whole {
			t.believe(who, others)
			return t, nil
		}
	}
	rest := others
	var left, deaf, hear []string
	for i, uid := range uids {
		silent := i >= len(who.living) && i < len(who.living)+len(who.silent)
		if silent {
			t.ghosts[uid] = struct{}{}
		}
		switch listens := count[channels[i]] > 0; {
		case listens && silent:
			rest--
		case listens:
			t.waiting[uid] = struct{}{}
			rest--
			hear = append(hear, uid)
		case silent:
			left = append(left, uid)
		default: // it was killed, or its own outage is not over: it would not hear the question
			deaf = append(deaf, uid)
		}
	}
	n.r.peers.forgetSilent(left)
	n.r.peers.noteDeaf(deaf, true)
	n.r.peers.noteDeaf(hear, false)
	t.count(others, rest)
	return t, nil
}

// count notes how many subscribe besides this process, and how many of them are not ours.
func (t *tally) count(others, rest int) {
	t.listening, t.rest = others, max(rest, 0)
	t.expected = len(t.waiting) + t.rest
}

// numShardSub counts the subscribers of channels of sharded pub/sub that a node has; plain, if it is among them, is none of those.
func numShardSub(ctx context.Context, node *redis.Client, channels []string, plain string) (map[string]int64, error) {
	i := slices.Index(channels, plain)
	if i < 0 {
		return node.PubSubShardNumSub(ctx, channels...).Result()
	}
	pipe := node.Pipeline()
	sharded := pipe.PubSubShardNumSub(ctx, slices.Delete(slices.Clone(channels), i, i+1)...)
	ordinary := pipe.PubSubNumSub(ctx, plain)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	count := sharded.Val()
	count[plain] = ordinary.Val()[plain]
	return count, nil
}

// loseDead stops a call from waiting for peers that no longer subscribe: Redis notices at once that a process was killed,
// and the beats it no longer sends only after some time.
func (n *namespace) loseDead(ctx context.Context, pending call) {
	uids := pending.owing()
	if len(uids) == 0 {
		return
	}
	channels := make([]string, len(uids))
	for i, uid := range uids {
		channels[i] = n.talk.answersTo(uid)
	}
	ctx, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	count, whole, err := n.r.numSub(ctx, channels)
	if err != nil {
		return // the next look may tell, or the outage ends the call
	}
	var listening []string
	for i, uid := range uids {
		switch {
		case count[channels[i]] > 0:
			listening = append(listening, uid)
		case whole:
			pending.lose(uid)
		}
	}
	n.r.peers.ask(ctx, listening)
}

// add notes an answer, and tells whether it is the first of its server as far as can be known.
func (t *tally) add(uid string) (first bool) {
	if uid == "" {
		t.nameless++
		t.got++
		return true
	}
	if t.has(uid) {
		return false
	}
	t.got++
	t.answered[uid] = struct{}{}
	_, waited := t.waiting[uid]
	_, ghost := t.ghosts[uid]
	delete(t.waiting, uid)
	if !waited && !ghost {
		t.nameless++ // a peer whose name we had not heard yet was counted as one of Node's
	}
	return true
}

// has tells whether uid has answered before.
func (t *tally) has(uid string) bool {
	_, ok := t.answered[uid]
	return ok
}

// lose stops waiting for a peer.
func (t *tally) lose(uid string) {
	delete(t.waiting, uid)
	t.ghosts[uid] = struct{}{}
}

// complete tells whether everybody answered. A peer that has not heard our name yet answers without its own.
func (t *tally) complete() bool { return t.nameless >= t.rest+len(t.waiting) }

// missing are the peers that did not answer.
func (t *tally) missing() (uids []string) {
	for uid := range t.waiting {
		uids = append(uids, uid)
	}
	return uids
}
