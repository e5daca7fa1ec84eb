// Package adapter links Socket.IO servers over Redis, so that an event that one of them emits
// reaches the clients of all. The servers may be ours or Node's: an [Adapter] speaks, byte for
// byte, like one of Node's adapters.
//
// [New] makes the adapter of one process, and [Config.Form] chooses the family. [Classic] speaks
// like @socket.io/redis-adapter's createAdapter and @socket.io/redis-emitter, [Sharded] like its
// createShardedAdapter, and [Streams] like @socket.io/redis-streams-adapter. [Adapter.Run] owns
// everything that runs. Whatever the number of namespaces, a process has one publisher, one
// subscription and one heartbeat. Everything may be called concurrently.
//
// # Promises
//
// Broadcasts, joins, leaves, disconnects and server-side events of one process arrive in the order
// in which they were made. Delivery is at most once while Redis answers. Only calls with a context
// block.
//
// While Redis is away the adapter keeps messages, within Config's limits. It sends them in order
// once Redis, this process's subscription and the known peers are back, or 3 s after Redis is. It
// counts the messages that didn't fit, and logs their number once per outage. A message that was
// under way when the connection closed is sent again, because its answer can't come any more. A
// frozen Redis carries out the messages it has when it goes on, so they are not sent again, unless
// another process answers in its place after a failover or a restart. Requests fail with [ErrAway]
// at once.
//
// A message that Node wouldn't have sent is dropped: the adapter counts it and logs it without its
// content. Whoever may publish on Redis is trusted like a server. That is the protocol's rule, not
// ours to change.
//
// # Beyond Node
//
// A process announces its name, its version and the uids of its namespaces every 2 s, on a channel
// that Node's patterns don't match. So a request waits for our processes by name, and not for one
// that said goodbye, no longer subscribes, or missed three beats. More than 100 processes beat less
// often; one of them that leaves a request unanswered is asked for a beat, and has as long as the
// others to give it. Answers between our processes name who answers, and go to the asker alone.
// Towards Node all bytes are Node's. A server-side event with binary arguments is sent as msgpack,
// which Node reads too, so they stay binary. Names of namespaces are escaped in patterns.
//
// There is one exception: a request without a sender is answered where all servers hear it, even
// with [Classic.SpecificResponses]. Node would answer to a server named "undefined".
//
// # Where to look
//
// adapter/internal/link has everything that the forms share, and its documentation follows a
// message through the files. internal/classic, internal/sharded and internal/streams add one form
// each: the channels, the encoding and, over streams, connection state recovery. Deleting such a
// folder and the file here with the form's name removes the form. internal/wire has the bytes.
package adapter
