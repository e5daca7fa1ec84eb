// Package engineio is an Engine.IO v4 server: sessions of text and binary messages, in order, over
// HTTP polling and WebSocket. A session may upgrade from polling to WebSocket without losing a
// message. Package socketio builds on it; an app that speaks Socket.IO doesn't need it.
//
// A [Server] is an http.Handler. Its Config has an Open function, which returns the [Receiver] of
// each new session. Its Run keeps time. This server sends each message back:
//
//	type echo struct{ s *engineio.Session }
//
//	func (e echo) Receive(data []byte, binary bool) {
//		if !binary {
//			e.s.Send(engineio.NewText(data))
//		}
//	}
//	func (e echo) Idle()                {}
//	func (e echo) Closed(string, error) {}
//
//	srv, err := engineio.New(engineio.Config{Open: func(s *engineio.Session) engineio.Receiver { return echo{s} }})
//	if err != nil {
//		return err // a wrong value in the Config
//	}
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
// Then the handler returns at once. The goroutine that has something to say writes the response and
// calls Done, which must not block. The ResponseWriter calls gone if the client leaves first.
// Package worker has such ResponseWriters.
//
// # Limits and errors
//
// The server limits everything that a client can make it keep: see the fields of [Config]. Send
// returns [ErrClosed] once the session has ended, and [ErrSlowClient] when the message ended it.
// The server answers a wrong request with the codes of Node's server, and tells
// Config.OnConnectionError.
//
// # Concurrency
//
// Everything exported may be called concurrently, but Run only once. An idle session has no
// goroutine, timer or buffer of its own.
//
// # Protocol
//
// All sections of the Engine.IO v4 specification. CORS, cookies, compression, JSONP and error codes
// are those of Node's engine.io.
package engineio
