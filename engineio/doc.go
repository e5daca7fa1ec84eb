// Package engineio is an Engine.IO v4 server: sessions of messages, text or binary, in order, over HTTP polling and
// WebSocket, with an upgrade from one to the other that loses nothing.
//
// A Server is an http.Handler. Give its Config an Open function, which is told of each Session and answers with the
// Receiver of what that session receives; mount it in any net/http server; and call Run, which keeps time:
//
//	srv, err := engineio.New(engineio.Config{Open: func(s *engineio.Session) engineio.Receiver { return &echo{s} }})
//	...
//	go http.ListenAndServe(":8080", srv)
//	err = srv.Run(ctx) // until ctx ends; then every session is ended and every goroutine awaited
//
// It does not know what messages mean: Socket.IO's packets, namespaces and rooms are package socketio's. It does not
// speak revision 3 of the protocol (such clients are refused with code 5) nor WebTransport.
//
// # What happens to a request
//
// ServeHTTP matches the raw target, adds the CORS headers, reads the query (query.go) and checks the request in the
// reference's order (server.go). What has no place here is refused with the protocol's codes (errors.go). A request
// without a sid begins a session (handshake.go). One with a sid polls or posts (polling.go), or asks for a WebSocket
// (accept.go, websocket.go), which probes and then takes over (upgrade.go). heartbeat.go pings.
//
// # Receiving
//
// A WebSocket's bytes go through parser.feed (frames.go), a push parser that takes them in whatever pieces they come. Who
// calls it is a link's affair: on Linux, plain sockets are parked in an epoll loop of our own (poller_linux.go), so that
// an idle one has neither goroutine nor buffer; while Run does not run, or where there is no epoll to be had, a goroutine
// waits for each (link_linux.go); TLS and everything else is read by a goroutine with a small buffer (link_stream.go).
// A connection that has SyscallConn must therefore let its descriptor be used in place of its Read and Write. One that
// holds bytes already read from the descriptor says how many by a method Buffered() int.
//
// The Receiver is called on that goroutine, which may be the one of all connections: it must not
// block. Within one read the session is corked: what the Receiver sends leaves in one write after
// Idle. What may take time it leaves to Session.Later (crew.go): the poller's goroutine does that
// between two looks at its sockets. It is replaced when that, or the messages of one connection,
// take too long: it then serves that connection alone until it has read all.
//
// # Sending
//
// Session.Send never blocks. While nothing waits, whoever sends writes to the socket at once, without blocking; what the
// kernel does not take waits in the session's queue and is written when there is room. Over polling, what is sent waits
// for a poll. Queues are bounded (Config.MaxQueueBytes), and a client that is too slow is dropped.
//
// A poll waits in its handler, as HTTP servers have it, unless the ResponseWriter can be parked (park.go): one with the methods
//
//	Park(gone func())
//	Done() error
//
// lets the handler return; the response is written by whoever has something to say, and ended by Done, which must not block.
// Gone is to be called if the client leaves first. Package worker has such ones, for the connections of its routers.
//
// A Message is encoded once per form and shared by all who are sent it: a broadcast is one NewText and a Send for each
// session, and allocates nothing per session.
//
// # Goroutines and locks
//
// A session has no goroutine, timer or channel of its own. Goroutines are: net/http's, in which
// polls wait that are not parked; the wheel's and the poller's, one each per server, in Run; those
// that the poller leaves to Work, or a message, which takes long, or calls when much waits; one per
// WebSocket that is not in the poller; one per such WebSocket while it has something to write, or
// is being closed; and one per ended session for as long as Receiver.Closed runs.
//
// Lock order: Session.recvMu (held while the Receiver is called), then Session.mu (all state and every write, none of
// which blocks), then Server.lingerMu, then the leaves: the wheel's, a shard of the session table, the scheduler's. A Receiver may call any
// method of any session; Send from elsewhere never waits for a Receiver.
//
// # How it ends
//
// Session.Close ends one session. Server.Drain refuses new sessions and ends the others at a rate, for a process that is
// about to leave. The end of Run's context ends everything at once. In each case Closed is called exactly once per
// session, after its last Receive, with the words that Node servers use: see TransportClose and its siblings.
//
// # Protocol
//
// Sections of the Engine.IO v4 specification and where they are: Handshake (handshake.go, packet/open.go), HTTP
// long-polling (polling.go, packet/payload.go), WebSocket (websocket.go; RFC 6455 in frames.go and accept.go, RFC 7692 in
// deflate.go), Upgrade (upgrade.go), Heartbeat (heartbeat.go), Packet encoding (packet/packet.go), and of engine.io's own
// behaviour CORS (cors.go), cookie (cookie.go), compression (compress.go), JSONP (jsonp.go), error codes (errors.go).
package engineio
