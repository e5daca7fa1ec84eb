package adapter

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// namespace is one namespace's part in the cluster. What it says has the form of its talk; whom it asks, and what becomes
// of answers, is the same in every form.
type namespace struct {
	r       *Redis
	local   cluster.Local
	name    string
	uid     string
	talk    talk
	own     string                 // where answers to this namespace alone arrive
	hasRoom func(room []byte) bool // local.HasRoom, bound once: binding allocates
	calls   calls
	closed  atomic.Bool
}

var _ cluster.Adapter = (*namespace)(nil)

func newNamespace(r *Redis, local cluster.Local) *namespace {
	n := &namespace{r: r, local: local, name: local.Name(), hasRoom: local.HasRoom}
	n.uid, n.talk = r.form.talk(n)
	n.own = n.talk.answersTo(n.uid)
	return n
}

// publish queues a message for other servers.
func (n *namespace) publish(m message, mayBeLost bool) error {
	switch {
	case n.closed.Load():
		return ErrClosed
	case len(m.payload) > n.r.cfg.MaxMessageBytes:
		return ErrTooLarge
	}
	n.r.publisher.send(m, mayBeLost)
	return nil
}

// Broadcast implements cluster.Adapter.
func (n *namespace) Broadcast(b *cluster.Broadcast) error {
	m, err := n.talk.broadcast(b)
	if err != nil {
		return err
	}
	return n.publish(m, b.Flags.Volatile)
}

// sizeOf is about how long a broadcast's message will be.
func sizeOf(b *cluster.Broadcast) int {
	size := 128 + len(b.Data.JSON)
	for _, a := range b.Data.Attachments {
		size += len(a)
	}
	return size
}

// order publishes a request that nobody answers.
func (n *namespace) order(q wire.Request) error {
	q.UID = n.uid
	m, err := n.talk.request(q)
	if err != nil {
		return err
	}
	return n.publish(m, false)
}

// Join implements cluster.Adapter.
func (n *namespace) Join(t cluster.Target, rooms []string) error {
	return n.order(wire.Request{Type: wire.RemoteJoin, Options: options(t, cluster.Flags{}), JoinLeave: rooms})
}

// Leave implements cluster.Adapter.
func (n *namespace) Leave(t cluster.Target, rooms []string) error {
	return n.order(wire.Request{Type: wire.RemoteLeave, Options: options(t, cluster.Flags{}), JoinLeave: rooms})
}

// Disconnect implements cluster.Adapter.
func (n *namespace) Disconnect(t cluster.Target, closeTransport bool) error {
	return n.order(wire.Request{Type: wire.RemoteDisconnect, Options: options(t, cluster.Flags{}), Close: closeTransport})
}

// ServerSideEmit implements cluster.Adapter.
func (n *namespace) ServerSideEmit(p packet.Payload) error {
	return n.order(wire.Request{Type: wire.ServerSideEmit, Data: p})
}

// ServerSideEmitWithAck implements cluster.Adapter. A server that has no handler for the event does not answer, in Node
// as here, and costs the whole time.
func (n *namespace) ServerSideEmitWithAck(ctx context.Context, p packet.Payload) ([]packet.Payload, error) {
	var answers []packet.Payload
	err := n.ask(ctx, wire.Request{Type: wire.ServerSideEmit, Data: p}, eventTimeout, func(a wire.Response) bool {
		if a.Type != wire.ServerSideEmit {
			return false
		}
		answers = append(answers, a.Answer)
		return true
	})
	return answers, err
}

// FetchSockets implements cluster.Adapter.
func (n *namespace) FetchSockets(ctx context.Context, t cluster.Target) ([]cluster.SocketInfo, error) {
	var found []cluster.SocketInfo
	seen := make(map[string]bool)
	q := wire.Request{Type: wire.RemoteFetch, Options: options(t, cluster.Flags{})}
	err := n.ask(ctx, q, n.talk.fetchTimeout, func(a wire.Response) bool {
		if a.Sockets == nil {
			return false
		}
		for _, s := range a.Sockets {
			if !seen[s.ID] {
				seen[s.ID] = true
				found = append(found, socketInfo(s))
			}
		}
		return true
	})
	return found, err
}

// BroadcastWithAck implements cluster.Adapter.
func (n *namespace) BroadcastWithAck(ctx context.Context, b *cluster.Broadcast, timeout time.Duration,
	counted func(clients int), answered func(packet.Payload)) error {
	flags := b.Flags
	flags.Timeout = timeout
	q := wire.Request{Type: wire.BroadcastWithAck, Options: options(b.Target, flags), Data: b.Data, Namespace: n.name}
	return n.askClients(ctx, q, timeout, counted, answered)
}

// AllRooms implements cluster.Adapter. The forms that have no question for it learn of the rooms from the sockets.
func (n *namespace) AllRooms(ctx context.Context) ([]string, error) {
	var rooms []string
	var err error
	if n.talk.asksRooms() {
		err = n.ask(ctx, wire.Request{Type: wire.AllRooms}, roomsTimeout, func(a wire.Response) bool {
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
func (n *namespace) ServerCount(ctx context.Context) (int, error) {
	ctx, cancel := n.withTimeout(ctx)
	defer cancel()
	t, err := n.census(ctx)
	return 1 + t.expected, err
}

// Close implements cluster.Adapter.
func (n *namespace) Close() error {
	if n.closed.Swap(true) {
		return nil
	}
	n.r.forget(n)
	n.calls.failAll(ErrClosed)
	return nil
}
