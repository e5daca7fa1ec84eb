// Package engineio is an Engine.IO v4 server: sessions of text and binary messages, in order, over
// HTTP polling and WebSocket. A session may upgrade from polling to WebSocket without losing a
// message. Package socketio builds on it; an app that speaks Socket.IO doesn't need it.
//
// A [Server] is an http.Handler. Its Config has an Open function, which returns the [Receiver] of
// each new session. Its Run keeps time:
//
//	srv, err := engineio.New(engineio.Config{Open: func(s *engineio.Session) engineio.Receiver { return &echo{s} }})
//	...
//	go http.ListenAndServe(":8080", srv)
//	err = srv.Run(ctx)
//
// It doesn't speak WebTransport, and refuses clients of revision 3 with code 5.
//
// # Messages
//
// Session.Send never blocks: the session queues the bytes that the transport doesn't take at once.
// A session whose client is too slow ends (Config.MaxQueueBytes). A [Message] is encoded once, so a
// broadcast is one NewText and a Send for each session.
//
// The session calls its Receiver on the goroutine that reads, which may be the one of all
// connections. So a Receiver must not block. It may call any method of any session.
//
// # The end
//
// Session.Close ends one session. Server.Drain refuses new sessions and ends the others at a given
// rate, for a graceful shutdown. The end of Run's context ends everything at once. In each case the
// session calls Closed exactly once, after the last Receive, with the words of Node's servers: see
// TransportClose and its siblings.
//
// # Connections
//
// The server uses the descriptor of a connection that has SyscallConn in place of its Read and
// Write. A connection that has already read bytes from its descriptor says how many by a method
// Buffered() int.
//
// A poll waits in its handler, unless the http.ResponseWriter has the methods
//
//	Park(gone func())
//	Done() error
//
// Then the handler returns at once. The goroutine that has something to say writes the response
// and calls Done, which must not block. The ResponseWriter calls gone if the client leaves first.
// Package worker has such ResponseWriters.
//
// # Protocol
//
// Sections of the Engine.IO v4 specification: Handshake (handshake.go, packet/open.go), HTTP
// long-polling (polling.go, packet/payload.go), WebSocket (websocket.go; RFC 6455 in frames.go and
// accept.go, RFC 7692 in deflate.go), Upgrade (upgrade.go), Heartbeat (heartbeat.go), Packet
// encoding (packet/packet.go). Of the behaviour of Node's engine.io: CORS (cors.go), cookie
// (cookie.go), compression (compress.go), JSONP (jsonp.go), error codes (errors.go).
package engineio

// For readers of the code.
//
// ServeHTTP matches the raw target, adds the CORS headers, reads the query (query.go) and checks
// the request in the order of Node's server (server.go). A request without a sid begins a session
// (handshake.go). One with a sid polls or posts (polling.go), or asks for a WebSocket (accept.go,
// websocket.go), which probes and then takes over (upgrade.go).
//
// parser.feed (frames.go) takes a WebSocket's bytes in whatever pieces they come. A link calls it.
// On Linux, plain sockets wait in an epoll loop (poller_linux.go), so that an idle one has neither
// a goroutine nor a buffer. Without epoll, or while Run doesn't run, a goroutine waits for each
// (link_linux.go). TLS and everything else has a goroutine with a small buffer (link_stream.go).
//
// During one read the session is corked, so that the Receiver's messages leave in one write after
// Idle. Package socketio's Receiver leaves work to the event loop (scheduler.go): the poller's
// goroutine does it between two looks at its sockets.
//
// A session has no goroutine, timer or channel of its own. docs/concurrency.md lists the
// goroutines.
//
// Lock order: Session.recvMu, held while the Receiver is called; Session.mu, which guards all state
// and every write, none of which blocks; Server.lingerMu; then those of the wheel, of a shard of
// the session table and of the scheduler. Send never waits for a Receiver.
