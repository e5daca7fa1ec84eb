// Package redisconn connects Sidereal to Redis. It turns a URL into a client, knows whether Redis
// is there, and keeps subscriptions alive.
//
//   - [Open] checks a [Config] and makes a [Conn]. It dials nothing.
//   - [Conn.Run] probes Redis and keeps [Conn.Up], [Conn.Changed] and [Conn.Wait] true.
//   - [Conn.Check] makes one attempt. It distinguishes a wrong password or a missing right, which
//     only an operator can fix, from a Redis that doesn't answer.
//   - [Conn.Subscribe] makes a [Subscription]. It reconnects, subscribes again, notices a Redis
//     that went silent without closing the connection, and never drops a message that reached this
//     process.
//   - [Conn.Node], [Conn.AnyNode] and [Conn.Nodes] find the nodes of a Redis Cluster. A
//     Subscription follows its shard channels from node to node by itself.
//
// In a Subscription, topics.go holds the wanted topics, route.go binds them to connections, link.go
// is one connection over push.go, resp.go parses Redis's words, and subscription.go combines the
// connections.
//
// Only the client of a cluster retries commands. A PUBLISH without a reply may have been heard, and
// only the caller knows whether to repeat it. Everything may be called concurrently unless its
// comment says otherwise.
package redisconn
