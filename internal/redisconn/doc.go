// Package redisconn is the one way Sidereal reaches Redis: it turns a URL into a client, says whether Redis is there,
// keeps subscriptions alive, and serves the embedded Redis of a host that was given none.
//
//   - [Open] checks a [Config] and makes a [Conn]; nothing is dialled before the first command.
//   - [Conn.Run] probes Redis and keeps [Conn.Up], [Conn.Changed] and [Conn.Wait] true.
//   - [Conn.Check] makes one attempt and tells a wrong password or a missing right (nothing will help but an operator)
//     from a Redis that does not answer (waiting helps).
//   - [Conn.Subscribe] makes a [Subscription]: it reconnects, subscribes again, notices a Redis that went silent without
//     closing the connection, and never drops a message that reached this process.
//   - [Conn.Node], [Conn.AnyNode] and [Conn.Nodes] find the nodes of a Redis Cluster, for what goes to one of them; a
//     Subscription follows its shard channels from node to node by itself.
//   - [ServeEmbedded] serves an in-memory Redis on a loopback port, whose pub/sub keeps the order that Redis keeps: one for
//     all messages, through channels and patterns alike.
//
// A message's way through a Subscription: topics.go has the topics that are wanted, route.go binds it to connections, link.go is one of
// them over push.go, resp.go reads what Redis says there, and subscription.go has what all of them tell together.
//
// Commands are never retried here, but by the client of a cluster: a PUBLISH whose reply was lost may have been heard, and only the caller knows whether
// saying it twice is right. Everything may be called concurrently unless it says otherwise.
package redisconn
