// Package router is a host's one door: it finds, for every request, the worker that owns its session, whatever connection
// the request came on.
//
// # A request's way
//
//	conn.go        accepted; waits, without a buffer, for a request
//	proxyheader.go what a trusted proxy that works on TCP says about it comes first
//	tls.go         over TLS, if it begins so: with certificates.go for clients, with the door's own key for routers
//	http2.go       which may agree on HTTP/2: requestConn.go makes each request one of HTTP/1.1, on a connection of its own
//	conn.go        its head is read (internal/netio/http1); what two parsers could read differently is refused
//	classify.go    what it is: handshake, poll, post, upgrade, or the app's own HTTP; and its sid
//	router.go      whose it is: the directory's answer, or balance.go for a new session
//	origins.go     which pages may ask for it
//	limit.go       and whether that worker may get one more; the rest of a storm is turned away
//	exchange.go    rewritten for the worker
//	forward.go     sent over a kept connection (upstream.go), tried again where that can do no harm
//	alive.go       where no answer came: is its worker dead, or was it the connection?
//	answer.go      the response; a handshake's sid is learned before its client knows it
//	pass.go        a WebSocket for this host: its connection goes to the worker (internal/netio/handoff) and leaves nothing here
//	relay.go       a WebSocket for another host: bytes, both ways
//	account.go     and what became of it, for the access log
//
// A connection from another host's router comes through the same listener. Its first request shows the key, and names one
// of this host's workers; the door (pass.go) gives that worker the whole connection. There is no second hop: a worker
// that is not here is answered with 421, and the asking router tells everyone that it is gone. Over TLS the door cannot give
// the connection away: it stays between them, for that one worker.
//
// # What workers may believe
//
// Sidereal-* fields are the routers' own. They are removed from whatever comes from outside, and written on what goes to
// a worker: Sidereal-Client (ip:port, port 0 where only an address is known) and Sidereal-Proto on proxied requests, also
// Sidereal-Worker on those that go to another host. A passed connection carries them in the handoff's Meta instead.
// X-Forwarded-For, -Proto and -Host are for the app: written anew for clients, continued for Config.TrustedProxies. A
// passed upgrade says "Connection: Upgrade, close", because that connection must not serve a second request if the worker
// refuses: it could be anyone's.
//
// A worker may take its clients' connections only as they came (handoff.ListenUntouched; Node's do). Where a router knows
// of one on its host, it looks at a connection's first request before it takes anything (MSG_PEEK). An upgrade that came
// whole, without a forwarding field and not from a trusted proxy, is then passed with all its bytes still in the kernel;
// what that worker believes of it is the connection itself. Everything else is proxied to it.
//
// # Promises
//
// A request with a sid is tried a second time only at its owner, and only if nothing of it was written. A request whose
// owner is dead goes to any ready worker, which gives the protocol's own answer to an unknown sid; so does one whose owner
// drains on a host that takes no connections any more, without the owner being called dead. A poll that waits is given up
// only when its client has left, which watch_linux.go notices. 503 with Retry-After is the answer where no worker is ready
// or the one asked for takes nothing at the moment. A handshake that is not answered in time is tried once at another worker:
// before its answer nothing is decided.
//
// HTTP/1.0 and 1.1 are spoken (RFC 9112), and over TLS HTTP/2: keep-alive, pipelining, both body framings, Expect, HEAD. Each connection costs
// a goroutine, a relay two while bytes move and none while it is quiet (park_linux.go); buffers are borrowed only while there
// are bytes. Trailers are part of a chunked body and stay as they came, in both directions; what announces them (Trailer, TE)
// is a matter of neighbours and does not. Whoever speaks HTTP/1.0 or HTTP/2 gets none.
//
// # Inside another program
//
// A Router is an [net/http.Handler]: mount it at Socket.IO's path of a server of your own (handler.go). Requests that this
// server has read go the way of all others, as connections of one request each, at the price of reading twice; a WebSocket's
// connection is taken over, and passed to its worker where it can be. [Router.Listener] (listener.go) has the router take
// WebSockets before that server reads them. [Router.Serve] has to run, if need be without a listener. What the handler cannot
// be is a door: where workers of this host are to be reached from other hosts, Serve needs a listener for their routers.
//
// # Life
//
// [New] checks, [Router.Serve] serves until its context ends, drains (drain.go) and returns when every goroutine has. A
// Router's methods may be called concurrently.
package router
