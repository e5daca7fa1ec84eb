package adapter

import (
	"context"
	"fmt"
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
// namespace's request channel, and each of ours one to a channel of its own, so what is left of the former without the
// latter is Node's.
func (n *namespace) census(ctx context.Context) (*tally, error) {
	living, silent := n.r.peers.of(n.name)
	group := n.r.cfg.Group.others(n.name, n.uid)
	channels := make([]string, 0, 2+len(group)+len(living)+len(silent))
	channels = append(channels, n.talk.counted(), n.own)
	for _, uid := range group {
		channels = append(channels, n.talk.answersTo(uid))
	}
	for _, uid := range living {
		channels = append(channels, n.talk.answersTo(uid))
	}
	for _, uid := range silent {
		channels = append(channels, n.talk.answersTo(uid))
	}
	t := newTally()
	count, err := n.r.numSub(ctx, channels)
	if err != nil {
		return t, fmt.Errorf("%w: %w", ErrAway, err)
	}
	others := count[n.talk.counted()] - count[n.own]
	for _, uid := range group {
		others -= min(count[n.talk.answersTo(uid)], 1)
	}
	t.listening = int(others)
	for _, uid := range living {
		// One that is no longer subscribed was killed, or its own outage is not over: it would not hear the question.
		if count[n.talk.answersTo(uid)] > 0 {
			t.waiting[uid] = struct{}{}
			others--
		}
	}
	var left []string
	for _, uid := range silent {
		t.ghosts[uid] = struct{}{}
		if count[n.talk.answersTo(uid)] > 0 {
			others--
		} else {
			left = append(left, uid)
		}
	}
	n.r.peers.forgetSilent(left)
	t.rest = max(int(others), 0)
	t.expected = len(t.waiting) + t.rest
	return t, nil
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
	count, err := n.r.numSub(ctx, channels)
	if err != nil {
		return // the next look may tell, or the outage ends the call
	}
	for i, uid := range uids {
		if count[channels[i]] == 0 {
			pending.lose(uid)
		}
	}
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
