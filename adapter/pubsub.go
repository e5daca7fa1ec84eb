package adapter

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio"
)

// pubsub is one namespace over classic pub/sub, the form that @socket.io/redis-adapter's createAdapter and
// @socket.io/redis-emitter speak.
type pubsub struct {
	r        *Redis
	local    socketio.Local
	name     string
	uid      string
	channels wire.Channels
	own      string                 // where answers to this namespace alone arrive
	hasRoom  func(room []byte) bool // local.HasRoom, bound once: binding allocates
	calls    calls
	closed   atomic.Bool
}

var _ socketio.Adapter = (*pubsub)(nil)

func newPubsub(r *Redis, local socketio.Local) *pubsub {
	n := &pubsub{r: r, local: local, name: local.Name(), uid: newUID(), hasRoom: local.HasRoom}
	n.channels = wire.NewChannels(r.cfg.Key, n.name)
	n.own = n.channels.ResponseTo(n.uid)
	return n
}

// publish queues a message for other servers.
func (n *pubsub) publish(channel string, msg []byte, mayBeLost bool) error {
	switch {
	case n.closed.Load():
		return ErrClosed
	case len(msg) > n.r.cfg.MaxMessageBytes:
		return ErrTooLarge
	}
	n.r.publisher.send(channel, msg, mayBeLost)
	return nil
}

// Broadcast implements socketio.Adapter.
func (n *pubsub) Broadcast(b *socketio.Broadcast) error {
	o := options(b.Target, b.Flags)
	channel := n.channels.Main
	if len(o.Rooms) == 1 {
		channel = n.channels.Room(o.Rooms[0])
	}
	msg, err := wire.AppendBroadcast(make([]byte, 0, sizeOf(b)), n.uid, n.name, b.Data, o)
	if err != nil {
		return err
	}
	return n.publish(channel, msg, b.Flags.Volatile)
}

// sizeOf is about how long a broadcast's message will be.
func sizeOf(b *socketio.Broadcast) int {
	size := 128 + len(b.Data.JSON)
	for _, a := range b.Data.Attachments {
		size += len(a)
	}
	return size
}

// order publishes a request that nobody answers.
func (n *pubsub) order(q wire.Request) error {
	q.UID = n.uid
	msg, err := wire.AppendRequest(nil, q)
	if err != nil {
		return err
	}
	return n.publish(n.channels.Request, msg, false)
}

// Join implements socketio.Adapter.
func (n *pubsub) Join(t socketio.Target, rooms []string) error {
	return n.order(wire.Request{Type: wire.RemoteJoin, Options: options(t, socketio.Flags{}), JoinLeave: rooms})
}

// Leave implements socketio.Adapter.
func (n *pubsub) Leave(t socketio.Target, rooms []string) error {
	return n.order(wire.Request{Type: wire.RemoteLeave, Options: options(t, socketio.Flags{}), JoinLeave: rooms})
}

// Disconnect implements socketio.Adapter.
func (n *pubsub) Disconnect(t socketio.Target, closeTransport bool) error {
	return n.order(wire.Request{Type: wire.RemoteDisconnect, Options: options(t, socketio.Flags{}), Close: closeTransport})
}

// ServerSideEmit implements socketio.Adapter.
func (n *pubsub) ServerSideEmit(p socketio.Payload) error {
	return n.order(wire.Request{Type: wire.ServerSideEmit, Data: p})
}

// ServerSideEmitWithAck implements socketio.Adapter. A server that has no handler for the event does not answer, in Node
// as here, and costs the whole time.
func (n *pubsub) ServerSideEmitWithAck(ctx context.Context, p socketio.Payload) ([]socketio.Payload, error) {
	var answers []socketio.Payload
	err := n.ask(ctx, wire.Request{Type: wire.ServerSideEmit, Data: p}, eventTimeout, func(a wire.Response) bool {
		if a.Type != wire.ServerSideEmit {
			return false
		}
		answers = append(answers, a.Answer)
		return true
	})
	return answers, err
}

// FetchSockets implements socketio.Adapter.
func (n *pubsub) FetchSockets(ctx context.Context, t socketio.Target) ([]socketio.SocketInfo, error) {
	var found []socketio.SocketInfo
	seen := make(map[string]bool)
	q := wire.Request{Type: wire.RemoteFetch, Options: options(t, socketio.Flags{})}
	err := n.ask(ctx, q, fetchTimeout, func(a wire.Response) bool {
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

// BroadcastWithAck implements socketio.Adapter.
func (n *pubsub) BroadcastWithAck(ctx context.Context, b *socketio.Broadcast, timeout time.Duration,
	counted func(clients int), answered func(socketio.Payload)) error {
	flags := b.Flags
	flags.Timeout = timeout
	q := wire.Request{Type: wire.BroadcastWithAck, Options: options(b.Target, flags), Data: b.Data, Namespace: n.name}
	return n.askClients(ctx, q, timeout, counted, answered)
}

// ServerCount implements socketio.Adapter.
func (n *pubsub) ServerCount(ctx context.Context) (int, error) {
	ctx, cancel := n.withTimeout(ctx)
	defer cancel()
	t, err := n.census(ctx)
	return 1 + t.expected, err
}

// Close implements socketio.Adapter.
func (n *pubsub) Close() error {
	if n.closed.Swap(true) {
		return nil
	}
	n.r.forget(n)
	n.calls.failAll(ErrClosed)
	return nil
}
