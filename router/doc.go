// Package router is the HTTP entry of a host. For every request it finds the worker that owns the
// session, whatever connection the request came on.
//
// # The life of a request
//
// A connection is a conn; conn.serve reads one request after another from it. Each becomes an
// exchange, which holds one value for each stage:
//
//	conn       conn.go      waits for a request without holding a buffer, and reads its head
//	request    request.go   what the client asks: its kind and sid (classify.go); it never changes
//	route      route.go     the decision: the owner of the sid, or by balance.go for a new session
//	message    message.go   the request as it goes to the worker, and the rest of its body
//	attempt    attempt.go   one try: send the message, wait for the answer, judge it
//	reply      reply.go     the worker's answer on its way to the client
//
// exchange.go puts them together. To see how a poll is answered, read exchange.dispatch, then
// exchange.forward and attempt.run in attempt.go. A WebSocket goes another way (exchange.upgrade in
// pass.go): a worker of this host gets the connection itself, and nothing of it is left in the
// router. For a worker of another host the router relays bytes (relay.go).
//
// All front ends end in conn.serve. [Router.Serve] accepts connections over plain TCP and TLS
// (tls.go, certificates.go, proxyheader.go). [Router.Listener] recognizes WebSockets before another
// server reads them. [Router.ServeHTTP] and HTTP/2 (http2.go) get requests that net/http has read;
// each of those is a connection with one request (requestconn.go). The router without HTTP/2 is the
// router without http2.go and one line of New.
//
// Around this path are the limits (limit.go for requests, descriptors.go for connections,
// origins.go for web pages), the workers and the connections that are kept to them (worker.go,
// workerconn.go, alive.go), answers in the router's own name (refuse.go, redirect.go), and the
// access log (accesslog.go).
//
// # Doors
//
// The door of a host is the port where other hosts' routers reach it. Their connections come
// through the same listener as clients'. The first request on such a connection shows a key and
// names a worker of this host; the door (pass.go) gives that worker the whole connection. There is
// no second hop: if the worker is not here, the answer is 421, and the asking router tells everyone
// that the worker is gone. Over TLS the door can't give the connection away, so it forwards
// requests for that one worker.
//
// # What workers may believe
//
// Sidereal-* fields belong to the routers. A router removes them from whatever comes from outside
// and writes its own: Sidereal-Client (ip:port, port 0 if only the address is known), Sidereal-Proto
// and Sidereal-Router (this process) on requests for workers, and Sidereal-Worker on those for other
// hosts. A passed connection carries the same in the Meta of package handoff. X-Forwarded-For, -Proto and -Host are
// for the app: new for clients, continued for Config.TrustedProxies. A passed upgrade says
// "Connection: Upgrade, close", because that connection must not serve a second request if the
// worker refuses: it could be anyone's.
//
// Some workers take a client's connection only as it came (handoff.ListenUntouched; Node's do). If
// the router knows of one on its host, it looks at a connection's first request without taking it
// from the kernel. It passes an upgrade with all its bytes if the upgrade came whole, without a
// forwarding field, and not from a trusted proxy. Everything else reaches that worker as a request.
//
// # Promises
//
// The router sends a request with a sid a second time only to the sid's owner, and only if it had
// written nothing. If the owner is dead, any ready worker gets the request and gives the protocol's
// answer to an unknown sid. The same happens if the owner drains on a host that accepts nothing any
// more. The router gives up a waiting poll only when its client has left (watch_linux.go). It
// answers 503 with Retry-After if no worker is ready or the worker takes nothing. It tries a
// handshake without an answer once at another worker: nothing is decided before the answer.
//
// The router speaks HTTP/1.0, HTTP/1.1 (RFC 9112) and, over TLS, HTTP/2. A connection costs a
// goroutine. A relay costs two while bytes move and none while it is quiet (park_linux.go). Buffers
// are borrowed only while there are bytes. Trailers stay in a chunked body, in both directions; the
// fields that announce them (Trailer, TE) are for neighbours and are dropped. Clients that speak
// HTTP/1.0 or HTTP/2 get no trailers.
//
// # Inside another program
//
// A Router is an [net/http.Handler]: mount it at Socket.IO's path. It takes WebSockets over and
// passes them to their workers if it can. [Router.Listener] saves reading them twice.
// [Router.Serve] has to run, if need be without a listener. The handler can't be a door: if other
// hosts are to reach workers of this host, Serve needs a listener for their routers.
//
// # Life
//
// [New] checks its Config. [Router.Serve] serves until its context ends, drains (drain.go), and
// returns when every goroutine has ended. The methods of a Router may be called concurrently.
package router
