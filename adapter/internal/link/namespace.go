package link

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Namespace is one namespace's part in the cluster: whom it asks, and what happens to answers. A
// form's own namespace type embeds it and implements its Protocol.
type Namespace struct {
	Name    string
	UID     string                 // names this namespace of this process to the other servers
	Own     string                 // the channel of answers to this namespace alone
	Local   cluster.Local          // nil until Link.Add
	HasRoom func(room []byte) bool // Local.HasRoom, bound once because binding allocates

	link     *Link
	protocol Protocol
	asks     asker
	closed   atomic.Bool
}

var _ cluster.Adapter = (*Namespace)(nil)

// NewNamespace makes a namespace that Add can open.
func NewNamespace(l *Link, name, uid string, p Protocol) *Namespace {
	n := &Namespace{Name: name, UID: uid, Own: p.AnswerChannel(uid), link: l, protocol: p}
	n.asks.ns = n
	return n
}

// Closed reports whether Close was called.
func (n *Namespace) Closed() bool { return n.closed.Load() }

// Publish queues a message for the other servers. A message that may be lost is dropped while Redis
// is away.
func (n *Namespace) Publish(m Message, mayBeLost bool) error {
	switch {
	case n.closed.Load():
		return ErrClosed
	case len(m.Payload) > n.link.Config.MaxMessageBytes:
		return ErrTooLarge
	}
	n.link.publisher.send(m, mayBeLost)
	return nil
}

// Fits refuses a payload whose attachments alone are longer than a message may be, before a message
// is made of it. A payload may name the same bytes any number of times and cost little until then.
func (n *Namespace) Fits(data packet.Payload) error {
	left := n.link.Config.MaxMessageBytes
	for _, a := range data.Attachments {
		if left -= len(a); left < 0 {
			return ErrTooLarge
		}
	}
	return nil
}

// Broadcast implements cluster.Adapter.
func (n *Namespace) Broadcast(b *cluster.Broadcast) error {
	if err := n.Fits(b.Data); err != nil {
		return err
	}
	m, err := n.protocol.EncodeBroadcast(b)
	if err != nil {
		return err
	}
	return n.Publish(m, b.Flags.Volatile)
}

// SizeOf estimates how long a broadcast's message will be.
func SizeOf(b *cluster.Broadcast) int {
	size := 128 + len(b.Data.JSON)
	for _, a := range b.Data.Attachments {
		size += len(a)
	}
	return size
}

// Order implements cluster.Adapter.
func (n *Namespace) Order(o cluster.Order) error {
	q := wire.Request{UID: n.UID, JoinLeave: o.Rooms, Close: o.CloseTransport, Data: o.Event}
	switch o.Kind {
	case cluster.Join:
		q.Type = wire.RemoteJoin
	case cluster.Leave:
		q.Type = wire.RemoteLeave
	case cluster.Disconnect:
		q.Type = wire.RemoteDisconnect
	default:
		return n.raise(q, o.Peer)
	}
	q.Options = Options(o.Target, cluster.Flags{})
	m, err := n.protocol.EncodeRequest(q)
	if err != nil {
		return err
	}
	return n.Publish(m, false)
}

// Ask implements cluster.Adapter.
func (n *Namespace) Ask(ctx context.Context, q cluster.Question, answer func(cluster.Answer)) error {
	switch q.Kind {
	case cluster.AskSockets:
		return n.asks.sockets(ctx, q.Target, answer)
	case cluster.AskRooms:
		return n.asks.rooms(ctx, answer)
	case cluster.AskServers:
		return n.asks.servers(ctx, q, answer)
	}
	return n.asks.clients(ctx, q, answer)
}

// ServerCount implements cluster.Adapter.
func (n *Namespace) ServerCount(ctx context.Context) (int, error) {
	ctx, cancel := n.asks.withTimeout(ctx)
	defer cancel()
	r, err := n.asks.responders(ctx)
	if n.link.Config.AskOnly {
		return r.expected, err
	}
	return 1 + r.expected, err
}

// Close implements cluster.Adapter.
func (n *Namespace) Close() error {
	if n.closed.Swap(true) {
		return nil
	}
	n.link.remove(n)
	n.asks.open.failAll(ErrClosed)
	return nil
}

// Options are a broadcast's target and flags as the wire has them.
func Options(t cluster.Target, f cluster.Flags) wire.Options {
	return wire.Options{Rooms: unique(t.Rooms), Except: unique(t.Except), Flags: wire.Flags{
		ExpectSingleResponse: f.ExpectSingleResponse, Timeout: f.Timeout, Volatile: f.Volatile, Compress: f.Compress,
	}}
}

// unique leaves out rooms that were named before.
func unique(rooms []string) []string {
	for i, room := range rooms {
		if slices.Contains(rooms[:i], room) {
			return compact(rooms)
		}
	}
	return rooms
}

func compact(rooms []string) []string {
	seen := make(map[string]bool, len(rooms))
	var out []string
	for _, room := range rooms {
		if !seen[room] {
			seen[room] = true
			out = append(out, room)
		}
	}
	return out
}
