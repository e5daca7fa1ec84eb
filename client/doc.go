// Package client is a Socket.IO v4 client: protocol revision 5 over Engine.IO v4, by polling, WebSocket, or polling
// with an upgrade.
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
//	answer, err := io.EmitWithAck(ctx, "join", "room")
//
// # Life
//
// New checks its Config and starts nothing. The first Connect of a socket opens the connection, which all namespaces
// share; it is lost and made again by itself (see Config for the rules), and is closed when the last socket has disconnected. Close
// ends everything and returns when no goroutine is left.
//
// There is no Run, which the servers of this module have: a client is held by straight-line code that wants to know on its next line
// whether it is connected, or why not. With Run every caller would write the same goroutine, wait for it and wait for the connection;
// here Connect answers, and Close waits.
//
// A connection has one goroutine, which dials, waits and reads. Handlers run on a goroutine per socket that lives while there are
// events, one at a time and in the order of arrival; they may block, and wait for acknowledgements from the same server. An idle WebSocket
// holds no buffers. With polling, net/http adds its own goroutines and buffers.
//
// # Events
//
// A handler is any func([context.Context,] [*Socket,] args...) [(results..., error)]: arguments are decoded into its parameters (missing
// ones are zero, extra ones ignored), results are the acknowledgement when the server asked for one. A parameter of type Args takes the
// rest undecoded, one of type Ack the means to answer later. On panics when the signature does not fit, and says why. The context ends
// when the socket disconnects. A handler that panics ends the process, as on any goroutine: it is the caller's code.
//
// []byte values travel as binary attachments both ways, at any depth.
//
// # Disconnection
//
// What is emitted while disconnected is kept, up to Config.MaxQueueBytes, and sent upon the next connection; volatile events are dropped.
// Waits for acknowledgements of what was already sent end with ErrDisconnected. If the server has connection state recovery, a reconnected
// socket keeps its id and gets what it missed, and Recovered reports true.
//
// All methods may be called concurrently and from handlers, except that Close must not be called from a handler or a hook:
// it waits for them.
package client
