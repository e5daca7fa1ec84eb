// Package handoff passes accepted connections from a host's router to its workers.
//
// A worker listens on a unix socket in the host's private runtime directory; a router dials it and
// learns from its greeting which worker answers. From then on each datagram carries one connection:
// a descriptor (SCM_RIGHTS) and a [Meta] with what the receiver cannot learn from it: the true
// client address, the scheme, and the bytes that the router has taken from the connection already,
// with the request head rewritten. [Listener] is a [net.Listener] whose connections deliver those
// bytes first, so an ordinary http.Server serves them.
//
// Three kinds of connection cross:
//
//   - [Client]: a public connection, from a WebSocket upgrade on. The router forgets it: no descriptor, no bytes.
//   - [Peer]: a connection of another host's router, which showed the key at this host's door.
//   - [Local]: one end of a socket pair, over which this host's router proxies requests ([Sender.Open]).
//
// A server that reads only from the connection itself takes client connections untouched
// ([ListenUntouched]): the router then passes those that it has only looked at, and Pass answers
// [ErrTouched] to others.
//
// Passing never waits. A worker that does not keep up fills its socket and [Sender.Pass] answers
// [ErrFull]; a worker that died answers [ErrDead]; a head that does not fit a datagram answers
// [ErrTooLarge]. In each case the connection is untouched and the caller still has it. A descriptor
// belongs to exactly one side at any time: to the caller until Pass returns nil (it then closes its
// copy, which ends nothing), to the kernel while in flight, to the Listener's user from Accept on.
// If a worker dies, the kernel closes the connections in flight.
//
// Linux uses SOCK_SEQPACKET sockets and checks with SO_PEERCRED that both ends run as the same
// user. Elsewhere a stream socket takes its place: Open works, Pass answers [ErrUnsupported] and
// the router proxies.
//
// Everything is safe for concurrent use, but one goroutine at a time reads from a connection. A
// Listener's goroutines end with Close, a Sender's with Close or with the worker.
package handoff
