// Package client is a Socket.IO v4 client for services, bots and load tests. It connects to any
// server of protocol revision 5, Node's included, by polling, by WebSocket, or by polling with an
// upgrade. Tests of an app use package socketiotest, which has one inside.
//
//	c, err := client.New(client.Config{URL: "http://127.0.0.1:8080"})
//	if err != nil {
//		return err // a wrong value in the Config
//	}
//	defer c.Close()
//	io := c.Of("/")
//	io.On("said", func(m Message) { fmt.Println(m.From, m.Text) })
//	io.On("ask", func(question string) (string, error) { return "42", nil }) // results answer the server
//	if err := io.Connect(ctx); err != nil {
//		return err // refused, ctx ended, or gave up
//	}
//	members, err := client.Call[[]string](ctx, io, "join", "room")
//
// # Life
//
// New starts nothing. The first Connect of a socket opens the connection, which all namespaces
// share. The client reconnects by itself, as [Config] says, and closes the connection when the last
// socket has disconnected. Close ends everything and returns when no goroutine is left.
//
// A connection has one goroutine, which dials, waits and reads. The handlers of a socket run on a
// goroutine that lives while there are events. With polling, net/http adds its own.
//
// # Events
//
// A handler is a function
//
//	func([context.Context,] [*Socket,] arguments... [, Ack]) ([answer..., ] [error])
//
// The event's arguments are decoded into the parameters. A missing argument is the zero value.
// Further arguments are ignored, unless the last parameter is variadic or [Args], which are
// undecoded. []byte values travel as binary attachments, at any depth. The results answer the event
// if the server waits for an answer; a handler with an [Ack] answers by that instead. The context
// ends when the socket disconnects.
//
// The handlers of one socket run one after the other, in the order of its events. They may block,
// and wait for acknowledgements of the same server. A panic in a handler ends the process.
//
// # Answers
//
// [Call] emits an event and decodes the answer. EmitWithAck returns it undecoded, and WithAck calls
// a function with it. For all three, an answer such as {"error": "no such room"}, which is how
// Sidereal's handlers answer when they fail, is an [AnswerError].
//
// # Disconnection
//
// While a socket is disconnected it keeps emitted events, up to Config.MaxQueueBytes, and sends
// them after the next connection. It drops volatile ones. EmitWithAck returns ErrDisconnected for
// events that were sent before. If the server has connection state recovery, a reconnected socket
// keeps its id and gets the events that it missed; Recovered then returns true.
//
// # Limits and errors
//
// Config has the limits on what a server can make the client keep, and on what waits to be sent:
// Emit returns [ErrQueueFull] beyond Config.MaxQueueBytes. Connect returns a [*ConnectError] if the
// server refuses the socket, and [ErrGaveUp] after Config.ReconnectionAttempts; by default it never
// gives up. Once a connection is lost, OnConnectError tells of each failed attempt.
//
// # Concurrency
//
// All methods may be called concurrently, and from handlers, except that Close must not be called
// from a handler or a hook: it waits for them.
package client
