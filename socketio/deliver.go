package socketio

import (
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// recipients pools the lists of sockets of one broadcast.
var recipients = sync.Pool{New: func() any { list := make([]*Socket, 0, 64); return &list }}

// maxRecipients is the largest list that goes back to the pool.
const maxRecipients = 64 << 10

// deliver sends b to the matching sockets here, encoded once. It lists them first, since a send may
// end a session, which changes rooms.
func (n *Namespace) deliver(b *cluster.Broadcast) {
	pooled := recipients.Get().(*[]*Socket)
	to := n.rooms.matching((*pooled)[:0], &b.Target)
	if len(to) > 0 {
		n.send(to, packet.Header{Type: packet.Event, Namespace: n.name, ID: packet.NoID}, b)
	}
	if clear(to); cap(to) <= maxRecipients {
		*pooled = to
		recipients.Put(pooled)
	}
}

// deliverWithAck sends b as a question to the matching sockets here and returns how many there are.
func (n *Namespace) deliverWithAck(b *cluster.Broadcast, timeout time.Duration, answered func(Args)) (*question, int) {
	to := n.rooms.matching(nil, &b.Target)
	if len(to) == 0 {
		return nil, 0
	}
	q := n.acks.ask(nil, to, timeout, func(args Args) {
		answered(args.Slice(0, min(args.Len(), 1))) // of a broadcast's answers only the first value counts
	}, nil)
	n.send(to, packet.Header{Type: packet.Event, Namespace: n.name, ID: q.id}, b)
	return q, len(to)
}

// send sends one broadcast to each of a list of sockets.
func (n *Namespace) send(to []*Socket, h packet.Header, b *cluster.Broadcast) {
	ms := n.server.encodePayload(h, b.Data)
	if b.Flags.Compress != nil && !*b.Flags.Compress {
		uncompressed(ms)
	}
	if hooks := n.registry.Load().anyOutgoing; len(hooks) > 0 {
		if name, args, err := b.Data.Event(); err == nil {
			for _, s := range to {
				s.tellOutgoing(hooks, name, args)
			}
		}
	}
	n.server.metrics.out.Add(float64(len(to)))
	if b.Flags.Volatile {
		for _, s := range to {
			if s.client.session.SendVolatile(ms...) {
				n.server.cfg.Trace.sent(s.client.session, h, ms)
			}
		}
		return
	}
	for _, s := range to {
		s.client.send(h, ms) // an ended session is no news: its Closed is on its way
		s.client.overdue()
	}
}

func (s *Socket) tellOutgoing(hooks []*listener[func(*Socket, string, Args)], name string, args Args) {
	for _, l := range hooks {
		s.contain(name, func() error { l.call(s, name, args); return nil })
	}
}
