package link

import (
	"context"
	"slices"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// An event for one server goes to the channel of its answers. Only our own servers hear events there, and only they are
// known by name.

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

// ServerSideEmitTo implements cluster.Adapter.
func (n *Namespace) ServerSideEmitTo(peer string, p packet.Payload) error {
	if !n.link.peers.hasIn(n.Name, peer) {
		return cluster.ErrNoPeer
	}
	m, err := n.protocol.EncodeRequest(wire.Request{UID: n.UID, Type: wire.ServerSideEmit, Data: p})
	if err != nil {
		return err
	}
	m.Channel = n.protocol.AnswerChannel(peer)
	return n.Publish(m, false)
}

// ServerSideEmitToWithAck implements cluster.Adapter.
func (n *Namespace) ServerSideEmitToWithAck(ctx context.Context, peer string, p packet.Payload) (answer packet.Payload, err error) {
	ctx, cancel := n.withTimeout(ctx)
	defer cancel()
	from := newResponders()
	from.waiting[peer], from.expected = struct{}{}, 1
	if err := n.ready(ctx); err != nil {
		return answer, n.count(err, from)
	}
	if !n.link.peers.hasIn(n.Name, peer) {
		return answer, n.count(cluster.ErrNoPeer, from)
	}
	open := &question{waiter: newWaiter(from), accept: func(a wire.Response) bool {
		if a.Type != wire.ServerSideEmit {
			return false
		}
		answer = a.Answer
		return true
	}}
	err = n.send(ctx, n.protocol.AnswerChannel(peer), wire.Request{Type: wire.ServerSideEmit, Data: p}, open, &open.waiter)
	if err == nil && from.got == 0 {
		err = cluster.ErrNoPeer // it left without an answer
	}
	return answer, n.count(n.explain(err, from, wire.ServerSideEmit), from)
}
