// Package adapter links Socket.IO servers over Redis, Node's included: what one emits reaches the clients of all. It
// implements [cluster.Cluster] with the channels and bytes of @socket.io/redis-adapter: those of its createAdapter, with
// which it understands @socket.io/redis-emitter, or those of its createShardedAdapter; or with those of
// @socket.io/redis-streams-adapter.
//
// [NewRedis] makes the Cluster of one process in the classic form, [NewSharded] in the sharded, [NewStreams] over streams;
// [Redis.Run] owns everything that runs. Whatever the number of namespaces, there is one publisher, one subscription and one heartbeat. A message's way through the files:
//
//	namespace.go  an operation of the namespace becomes a message
//	form.go       what differs between the families of Node's adapters
//	pubsub.go     the classic one (the bytes are in internal/wire)
//	sharded.go    the sharded one; rooms.go has which rooms' channels it listens to
//	streams.go    the one over streams
//	publisher.go  one goroutine sends what waits, in order, many at a time; callers never wait
//	lanes.go      to which nodes, where Redis is a Cluster
//	receiver.go   one goroutine reads, and drops own echoes and rooms with nobody here by their first bytes
//	answer.go     what other servers ask for is done, and answered
//	request.go    what is asked of them: whom to wait for, until when
//	oneserver.go  events for one of them
//	census.go     whom: our own peers by name, Node's servers by their number
//	peers.go      the heartbeat by which our own processes know each other: beat.go is one, attendance.go who they say is there
//	outage.go     Redis lost and found again
//
// # The sharded form
//
// A broadcast to one room goes over a channel of that room, to the servers that have somebody in it. They subscribe when
// somebody joins, and Redis confirms that a moment later: what other servers say to the room in between is missed here, as
// in Node. A server that has sockets elsewhere join a room speaks to that room where all hear it for a second, so that a
// broadcast behind a join reaches those that joined; Node's does not. Channels of rooms that emptied are kept for a while,
// and left many at once.
//
// In a Redis Cluster a channel lives on the node that serves its hash slot: the subscription has a connection to each such
// node, and follows a slot that moves and a node that is replaced. Messages on one channel stay in order; between those of a
// namespace and of its rooms, which may be on different nodes, there is no order. A Key with a hash tag, such as
// "{socket.io}", keeps all on one node, in order. While the node of any waiting message is away, all wait.
//
// # Over streams
//
// What all servers do is an entry of a stream, which each reads from a place of its own (streamreader.go), on after a
// break; gap.go counts what was trimmed meanwhile. Questions and answers go through pub/sub (clustermessage.go), and have no
// order with the stream.
//
// A server with recovery may take over the clients of another, Node's included:
//
//	recovery.go   the namespace's part, and a client that comes back
//	lineup.go     what is emitted here waits for its place in the stream, which is its offset
//	tail.go       what was read last, for clients that missed it
//	tenure.go     the time during which a socket here has a session, and the script by which sessions change hands
//	keeper.go     stores sessions, many at a time
//
// # Promises
//
// Broadcasts, joins, leaves, disconnects and server-side events of one process arrive in the order in which they were
// made. Delivery is at most once while Redis answers. Nothing here blocks but the calls that have a context.
//
// While Redis is away messages are kept, within Config's bounds, and sent in order once Redis, this
// process's subscription and the peers that were known are back, or 3 s after Redis is. What did
// not fit is counted and logged, once for an outage. A message that was under way when the
// connection closed is sent again, since its answer can no longer come. One that Redis does not
// answer stays under way: a Redis that is frozen carries it out when it goes on. Where its
// connection is given up, since Redis answers over others, it is sent again if another process
// answers then, after a failover or a restart; the same process carries it out when it goes on.
// Requests fail with [ErrAway] at once.
//
// A message that Node would not have sent costs that message: it is counted, and a log line says so without its content.
// Whoever may publish on Redis is trusted with what a server may do; that is the protocol's, not ours to change.
//
// # Beyond Node
//
// Joins and the like act here at once, and our echo is ignored. Processes of this package announce their name, version
// and the uids of their namespaces every 2 s on a channel that Node's patterns do not match, so that a request waits for them by name, and not at all for one
// that said goodbye, is no longer subscribed, or missed three beats. More than 100 beat more seldom; one of them that leaves a
// request unanswered is asked for a beat, and has as long as the others to give it. Answers between
// them say who answers and go to the asker alone; towards Node all bytes are Node's. A server-side event with binary
// arguments is sent as msgpack, which Node reads too, and keeps them binary. Names of namespaces are escaped in patterns.
//
// One exception is made to what Node answers: a request that names no sender is answered where all can hear it, even with
// SpecificResponses; Node would answer to a server named "undefined".
package adapter
