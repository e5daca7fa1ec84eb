package link

import (
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
