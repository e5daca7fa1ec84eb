// Package sharded is the form of @socket.io/redis-adapter's createShardedAdapter: sharded pub/sub,
// for Redis 7 or later.
//
// A broadcast to one room goes over a channel of that room, to the servers that have somebody in
// it. They subscribe when somebody joins, and Redis confirms that a moment later. A server misses
// what others send to the room in between, as in Node. A server that makes sockets elsewhere join a
// room sends its messages for that room to all servers for a second, so a broadcast behind a join
// reaches those that joined; Node's doesn't. The channels of rooms that emptied are kept for a
// while and then left many at once.
//
// In a Redis Cluster a channel lives on the node of its hash slot. The subscription has a
// connection to each such node, and follows slots that move and nodes that are replaced. Messages
// on one channel stay in order. The channels of a namespace and of its rooms may be on different
// nodes, and then have no order between them. A Key with a hash tag, such as "{socket.io}", keeps
// all on one node, in order. While the node of one waiting message is away, all messages wait.
//
// form.go has the process's part, namespace.go what a namespace sends, and rooms.go the channels of
// rooms.
package sharded
