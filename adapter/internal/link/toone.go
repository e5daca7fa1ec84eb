package link

import (
	"context"
	"slices"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// An event for one server goes to the channel of its answers. Only our own servers hear events
// there, and only they are known by name.

// Peers implements cluster.Adapter.
func (n *Namespace) Peers() []cluster.Peer {
	who := n.link.peers.presence(n.Name)
	living := append(who.living, who.unsubscribed...)
	slices.Sort(living)
	list := make([]cluster.Peer, len(living))
	for i, uid := range living {
		list[i] = cluster.Peer{ID: uid, Name: n.link.peers.name(uid)}
	}
	return list
}

// raise publishes an event that nobody answers, for all servers or for one of them.
func (n *Namespace) raise(q wire.Request, peer string) error {
	q.Type = wire.ServerSideEmit
	if peer != "" && !n.link.peers.hasIn(n.Name, peer) {
		return cluster.ErrNoPeer
	}
	if err := n.Fits(q.Data); err != nil {
		return err
	}
	m, err := n.protocol.EncodeRequest(q)
	if err != nil {
		return err
	}
	if peer != "" {
		m.Channel = n.protocol.AnswerChannel(peer)
	}
	return n.Publish(m, false)
}

// askPeer sends a request to one server and waits for its answer.
func (n *Namespace) askPeer(ctx context.Context, peer string, q wire.Request, accept func(wire.Response) bool) error {
	ctx, cancel := n.withTimeout(ctx)
	defer cancel()
	from := newResponders()
	from.waiting[peer], from.expected = struct{}{}, 1
	if err := n.ready(ctx); err != nil {
		return n.count(err, from)
	}
	if !n.link.peers.hasIn(n.Name, peer) {
		return n.count(cluster.ErrNoPeer, from)
	}
	open := &question{waiter: newWaiter(from), accept: accept}
	err := n.send(ctx, n.protocol.AnswerChannel(peer), q, open, &open.waiter)
	if err == nil && from.got == 0 {
		err = cluster.ErrNoPeer // it left without an answer
	}
	return n.count(n.explain(err, from, q.Type), from)
}
