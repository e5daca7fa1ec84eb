// Package adapter links Socket.IO servers over Redis: an event that one server emits reaches the
// clients of all. The other servers may be Node's. Package worker makes its adapter by itself; use
// this package for servers without a worker:
//
//	cluster, err := adapter.New(adapter.Config{Redis: sidereal.Redis{URL: "redis://10.0.0.9:6379"}})
//	if err != nil {
//		return err // a wrong setting
//	}
//	io, err := socketio.New(socketio.Config{Adapter: cluster})
//	if err != nil {
//		return err
//	}
//	go io.Run(ctx)          // runs the adapter, too
//	err = cluster.Wait(ctx) // until this server hears all others
//
// # Which form do I need?
//
// [Config.Form] chooses the wire format. All servers of an app need the same.
//
//   - [Classic] is the default: every server hears every message. Node's servers use
//     @socket.io/redis-adapter with createAdapter, and @socket.io/redis-emitter.
//   - [Sharded] sends a room's messages to the servers that have somebody in the room. It needs
//     Redis 7. Node's servers use createShardedAdapter.
//   - [Streams] keeps recent messages, so that servers read what they missed, and clients that come
//     back get what they missed. Node's servers use @socket.io/redis-streams-adapter.
//
// # Promises
//
// Broadcasts, joins, leaves, disconnects and server-side events of one process arrive in the order
// in which they were made. Delivery is at most once while Redis answers. Only calls with a context
// block.
//
// While Redis is away the adapter keeps messages, within Config's limits. It sends them in order
// once Redis, this process's subscription and the known peers are back, or 3 s after Redis is. It
// counts the messages that didn't fit, and logs their number once per outage. It sends a message
// again that was under way when the connection closed, because the answer can't come any more. A
// frozen Redis carries out the messages it has when it goes on, so the adapter doesn't repeat
// those, unless another process answers in its place after a failover or a restart.
//
// # Errors
//
// A request to other servers fails with [ErrAway] at once while Redis is away, and with a
// *cluster.MissingError if servers don't answer in time. It waits for our own processes by name,
// and not for one that said goodbye, no longer subscribes, or missed three beats of 2 s. A message
// beyond Config.MaxMessageBytes isn't sent: [ErrTooLarge].
//
// # Trust
//
// Everybody who may publish on Redis is trusted like a server; Node's adapters have the same rule.
// The adapter drops a message that Node wouldn't have sent, counts it, and logs it without its
// content.
//
// # Concurrency
//
// Everything may be called concurrently. [Adapter.Run] owns everything that runs. Whatever the
// number of namespaces, a process has one publisher, one subscription and one heartbeat.
//
// # Differences from Node
//
// Towards Node all bytes are Node's, with one exception: the adapter answers a request without a
// sender where all servers hear it, even with [Classic.SpecificResponses]. Node would answer to a
// server named "undefined". Our own processes also know each other by a heartbeat on a channel that
// Node's patterns don't match; beyond 100 processes they beat less often, and an asker that misses
// an answer asks for a beat. A server-side event with binary arguments travels as msgpack, which
// Node reads, so the arguments stay binary. The adapter escapes the names of namespaces in
// patterns.
package adapter
