package link

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Namespace is one namespace's part in the cluster: whom it asks, and what happens to answers. A form's own namespace
// type embeds it and implements its Protocol.
type Namespace struct {
	Name    string
	UID     string                 // names this namespace of this process to the other servers
	Own     string                 // the channel of answers to this namespace alone
	Local   cluster.Local          // nil until Link.Add
	HasRoom func(room []byte) bool // Local.HasRoom, bound once because binding allocates

	link     *Link
	protocol Protocol
	requests requests
	closed   atomic.Bool
}

var _ cluster.Adapter = (*Namespace)(nil)

// NewNamespace makes a namespace that Add can open.
func NewNamespace(l *Link, name, uid string, p Protocol) *Namespace {
	return &Namespace{Name: name, UID: uid, Own: p.AnswerChannel(uid), link: l, protocol: p}
}

// Closed reports whether Close was called.
func (n *Namespace) Closed() bool { return n.closed.Load() }

// Publish queues a message for the other servers. A message that may be lost is dropped while Redis is away.
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

// Broadcast implements cluster.Adapter.
func (n *Namespace) Broadcast(b *cluster.Broadcast) error {
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

// order publishes a request that nobody answers.
func (n *Namespace) order(q wire.Request) error {
	q.UID = n.UID
	m, err := n.protocol.EncodeRequest(q)
	if err != nil {
		return err
	}
	return n.Publish(m, false)
}

// Join implements cluster.Adapter.
func (n *Namespace) Join(t cluster.Target, rooms []string) error {
	return n.order(wire.Request{Type: wire.RemoteJoin, Options: Options(t, cluster.Flags{}), JoinLeave: rooms})
}

// Leave implements cluster.Adapter.
func (n *Namespace) Leave(t cluster.Target, rooms []string) error {
	return n.order(wire.Request{Type: wire.RemoteLeave, Options: Options(t, cluster.Flags{}), JoinLeave: rooms})
}

// Disconnect implements cluster.Adapter.
func (n *Namespace) Disconnect(t cluster.Target, closeTransport bool) error {
	return n.order(wire.Request{Type: wire.RemoteDisconnect, Options: Options(t, cluster.Flags{}), Close: closeTransport})
}

// ServerSideEmit implements cluster.Adapter.
func (n *Namespace) ServerSideEmit(p packet.Payload) error {
	return n.order(wire.Request{Type: wire.ServerSideEmit, Data: p})
}

// ServerSideEmitWithAck implements cluster.Adapter. A server that has no handler for the event doesn't answer, neither
// Node's nor ours, and costs the whole timeout.
func (n *Namespace) ServerSideEmitWithAck(ctx context.Context, p packet.Payload) ([]packet.Payload, error) {
	var answers []packet.Payload
	err := n.ask(ctx, wire.Request{Type: wire.ServerSideEmit, Data: p}, func(a wire.Response) bool {
		if a.Type != wire.ServerSideEmit {
			return false
		}
		answers = append(answers, a.Answer)
		return true
	})
	return answers, err
}

// FetchSockets implements cluster.Adapter.
func (n *Namespace) FetchSockets(ctx context.Context, t cluster.Target) ([]cluster.SocketInfo, error) {
	var found []cluster.SocketInfo
	seen := make(map[string]bool)
	q := wire.Request{Type: wire.RemoteFetch, Options: Options(t, cluster.Flags{})}
	err := n.ask(ctx, q, func(a wire.Response) bool {
		if a.Sockets == nil {
			return false
		}
		for _, s := range a.Sockets {
			if !seen[s.ID] {
				seen[s.ID] = true
				found = append(found, SocketInfo(s))
			}
		}
		return true
	})
	return found, err
}

// BroadcastWithAck implements cluster.Adapter.
func (n *Namespace) BroadcastWithAck(ctx context.Context, b *cluster.Broadcast, timeout time.Duration,
	counted func(clients int), answered func(packet.Payload)) error {
	flags := b.Flags
	flags.Timeout = timeout
	q := wire.Request{Type: wire.BroadcastWithAck, Options: Options(b.Target, flags), Data: b.Data, Namespace: n.Name}
	return n.askClients(ctx, q, timeout, counted, answered)
}

// AllRooms implements cluster.Adapter. A form without a question for all rooms collects them from the sockets.
func (n *Namespace) AllRooms(ctx context.Context) ([]string, error) {
	var rooms []string
	var err error
	if n.protocol.AsksRooms() {
		err = n.ask(ctx, wire.Request{Type: wire.AllRooms}, func(a wire.Response) bool {
			rooms = append(rooms, a.Rooms...)
			return a.Rooms != nil
		})
	} else {
		var sockets []cluster.SocketInfo
		sockets, err = n.FetchSockets(ctx, cluster.Target{})
		for _, s := range sockets {
			rooms = append(rooms, s.Rooms...)
		}
	}
	slices.Sort(rooms)
	return slices.Compact(rooms), err
}

// ServerCount implements cluster.Adapter.
func (n *Namespace) ServerCount(ctx context.Context) (int, error) {
	ctx, cancel := n.withTimeout(ctx)
	defer cancel()
	r, err := n.responders(ctx)
	return 1 + r.expected, err
}

// Close implements cluster.Adapter.
func (n *Namespace) Close() error {
	if n.closed.Swap(true) {
		return nil
	}
	n.link.remove(n)
	n.requests.failAll(ErrClosed)
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
