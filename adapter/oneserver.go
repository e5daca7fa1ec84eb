package adapter

import (
	"context"
	"slices"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Events for one server go to the channel on which it hears answers. Only our own hear them there, and only they are known
// by name.

// Peers implements cluster.Adapter.
func (n *namespace) Peers() []cluster.Peer {
	who := n.r.peers.of(n.name)
	living := append(who.living, who.deaf...)
	slices.Sort(living)
	list := make([]cluster.Peer, len(living))
	for i, uid := range living {
		list[i] = cluster.Peer{ID: uid, Name: n.r.peers.name(uid)}
	}
	return list
}

// ServerSideEmitTo implements cluster.Adapter.
func (n *namespace) ServerSideEmitTo(peer string, p packet.Payload) error {
	if !n.knows(peer) {
		return cluster.ErrNoPeer
	}
	m, err := n.talk.request(wire.Request{UID: n.uid, Type: wire.ServerSideEmit, Data: p})
	if err != nil {
		return err
	}
	m.channel = n.talk.answersTo(peer)
	return n.publish(m, false)
}

// ServerSideEmitToWithAck implements cluster.Adapter.
func (n *namespace) ServerSideEmitToWithAck(ctx context.Context, peer string, p packet.Payload) (answer packet.Payload, err error) {
	ctx, cancel := n.withTimeout(ctx)
	defer cancel()
	t := newTally()
	t.waiting[peer], t.expected = struct{}{}, 1
	if err := n.ready(ctx); err != nil {
		return answer, n.outcome(err, t)
	}
	if !n.knows(peer) {
		return answer, n.outcome(cluster.ErrNoPeer, t)
	}
	pending := &question{waiter: newWaiter(t), accept: func(a wire.Response) bool {
		if a.Type != wire.ServerSideEmit {
			return false
		}
		answer = a.Answer
		return true
	}}
	err = n.send(ctx, n.talk.answersTo(peer), wire.Request{Type: wire.ServerSideEmit, Data: p}, pending, &pending.waiter)
	if err == nil && t.got == 0 {
		err = cluster.ErrNoPeer // it left without an answer
	}
	return answer, n.outcome(n.explain(err, t, eventTimeout), t)
}

// knows tells whether a living peer has that name in this namespace.
func (n *namespace) knows(uid string) bool {
	return n.r.peers.knows(n.name, uid)
}
