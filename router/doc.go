// Package router is the HTTP entry of a host. For every request it finds the worker that owns the
// session, whatever connection the request came on. `sidereal up` and `sidereal router` run one;
// use this package to put a router into a program of your own:
//
//	upstreams, err := directory.NewUpstreams(directory.UpstreamConfig{List: "http://10.0.0.4:3000"})
//	if err != nil {
//		return err // a wrong setting
//	}
//	r, err := router.New(router.Config{Directory: upstreams})
//	if err != nil {
//		return err
//	}
//	go upstreams.Run(ctx)
//	err = r.Serve(ctx, ln) // until ctx ends
//
// With a running *directory.Directory in place of the upstreams it finds the workers that
// registered in Redis.
//
// # Inside another program
//
// A Router is an [net/http.Handler]: mount it at Socket.IO's path. It takes WebSockets over and
// passes them to their workers if it can. [Router.Listener] recognizes WebSockets before another
// server reads them, which saves reading them twice. [Router.Serve] has to run, if need be without
// a listener. The handler can't be a door: if other hosts are to reach workers of this host, Serve
// needs a listener for their routers.
//
// # Doors
//
// The door of a host is the port where other hosts' routers reach it. Their connections come
// through the same listener as clients'. The first request on such a connection shows a key and
// names a worker of this host; the door gives that worker the whole connection. There is no second
// hop: if the worker is not here, the answer is 421, and the asking router tells everyone that the
// worker is gone. Over TLS the door can't give the connection away, so it forwards requests for
// that one worker.
//
// # Trust
//
// Sidereal-* fields belong to the routers. A router removes them from whatever comes from outside
// and writes its own: Sidereal-Client (ip:port, port 0 if only the address is known),
// Sidereal-Proto and Sidereal-Router (this process) on requests for workers, and Sidereal-Worker on
// those for other hosts. X-Forwarded-For, -Proto and -Host are for the app: new for clients,
// and as they came from Config.TrustedProxies.
//
// # Promises
//
// The router sends a request with a sid a second time only to the sid's owner, and only if it had
// written nothing, or if the owner recognises the copy. The latter holds for polls and posts that
// have a number (t), that were written whole, and whose answer has not begun; it happens once. If
// the owner is dead, any ready worker gets the request and gives the protocol's answer to an
// unknown sid. The same happens if the owner drains on a host that accepts nothing any more. The
// router tries a handshake without an answer once at another worker: nothing is decided before the
// answer.
//
// The router gives up a waiting poll only when its client has left, and tells the worker so. A
// connection that ends without that word is the end of a router, and the session waits for a copy
// of the poll. A relayed WebSocket ends with its router. The router answers 503 with Retry-After if
// no worker is ready or the worker takes nothing.
//
// The router speaks HTTP/1.0, HTTP/1.1 (RFC 9112) and, over TLS, HTTP/2. Trailers stay in a chunked
// body, in both directions; the fields that announce them (Trailer, TE) are for neighbours and are
// dropped. Clients that speak HTTP/1.0 or HTTP/2 get no trailers.
//
// A connection costs a goroutine. On Linux a relay costs none: an event loop has all of them. It
// may hold a message back for 0.4 ms while many WebSockets send.
// The router borrows buffers only while there are bytes.
//
// # Limits and errors
//
// [Config] has the limits on connections, handshakes, requests and heads. A client beyond one gets
// 503 and Retry-After, or 431 for a large head. [New] returns all wrong settings as one error.
// Serve returns the error of a listener.
//
// # Life
//
// Router.Serve serves until its context ends, drains, and returns when every goroutine has ended.
// The methods of a Router may be called concurrently.
package router
