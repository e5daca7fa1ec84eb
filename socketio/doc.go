// Package socketio is a Socket.IO v4 server: namespaces, events with answers, rooms and broadcasts, over the sessions
// of package engineio, for one process or, through an Adapter, for many that share clients and rooms. It speaks
// revision 5 of the protocol, which the official clients speak since their version 3, and behaves for them as Node's
// server does.
//
// # A server
//
// A [Server] is an http.Handler and needs its Run for everything that takes time:
//
//	io, err := socketio.New(socketio.Config{})
//	io.On("say", func(s *socketio.Socket, room, text string) error {
//		return s.To(room).Emit("said", text)
//	})
//	go http.ListenAndServe(":8080", io)
//	err = io.Run(ctx)
//
// It serves below Config.Path, "/socket.io/" by default; Handle adds the app's own pages. Package worker makes a
// process of it, with settings, signals and a drain. Run returns when every goroutine of the server has ended, those
// of handlers included.
//
// # Events
//
// Handlers are registered on a [Namespace] and count for all its sockets; the Server is the main namespace, "/". A
// handler is an ordinary function: what the client sends is decoded into its parameters, and what it returns is the
// answer if the client wants one.
//
//	type order struct{ Item string; Count int }
//
//	io.On("order", func(ctx context.Context, s *socketio.Socket, o order) (receipt, error) {
//		if o.Count < 1 {
//			return receipt{}, socketio.NewError("nothing ordered") // the client reads {"error":"nothing ordered"}
//		}
//		return shop.Buy(ctx, s.Get("user").(string), o)
//	})
//
// The rules are those of [Namespace.On]. JSON is what JavaScript would write and reads what it writes; []byte travels
// as a binary attachment, in whatever it is contained; [Args] and [Value] are what was sent, undecoded.
//
// The handlers of one socket run one after the other, in the order of its events; those of different sockets don't wait
// for each other. A handler may block; Socket.Go runs beside the events what a handler begins and does not wait for. A
// panic is contained, logged and counted. Which goroutine runs a handler is not promised: the one that reads for all,
// while the handler takes little time (pace.go), else one of the socket's, for as long as events wait.
//
// # Answers
//
// EmitWithAck waits for the client, as long as its context, a Timeout and the connection allow. A handler may wait
// for its own client. A broadcast collects one value from each.
//
//	answer, err := s.EmitWithAck(ctx, "confirm", "sure?")
//	answers, err := io.To("jury").Timeout(time.Second).EmitWithAck(ctx, "vote")
//
// # Rooms
//
// A socket is in the room of its own id and in those it joined. An [Operator] selects sockets by rooms, on all
// servers of the cluster, and emits to them, makes them join or leave, describes or disconnects them.
//
//	s.Join("lobby")
//	io.To("lobby", "garden").Except(s.ID()).Emit("joined", s.Get("name"))
//
// # Connecting
//
// Middlewares decide who may connect: Use adds one, whose error the client gets as connect_error. OnConnect,
// OnDisconnecting and OnDisconnect follow a socket's life; its Context ends with it. OfRegexp and OfFunc make
// namespaces when clients ask for them. Config.Recovery restores clients that come back after a short break.
//
// # Bounds
//
// Whatever a client sends is bounded: the bytes of a message (Config.MaxHTTPBufferSize),
// attachments and the time until they are there, namespaces, rooms, the depth of JSON
// (packet.MaxDepth), what waits for handlers or attachments, and if asked for the events of a
// second. Lines of the log that clients can cause are written 20 at once and 5 in a second; the
// field left_out counts the others. A breach, or anything the protocol does not allow, closes the
// connection and is counted by kind; OnError hears of malformed packets before. Arguments that do
// not fit a handler only cost that event.
//
// # Around it
//
// Config.Trace is told of packets and events. Config.Parser writes packets in another form: package msgpack has one.
// Package socketiotest tests an app without a network. Package cluster has a Hub that links servers of one process.
//
// # Concurrency
//
// Everything exported is safe for concurrent use. Emits of one goroutine reach each socket in their order. Nothing
// that emits waits for a client: what a client does not take is queued, and a client that is too slow is closed
// (Config.MaxQueueBytes). Values given to Emit are encoded before it returns; only the []byte and Args in a broadcast
// are shared afterwards.
//
// Protocol: sections of "Socket.IO protocol, revision 5": connection to a namespace (client.go, namespace.go),
// disconnection (socket.go), sending and receiving events (dispatch.go, emitter.go), acknowledgement (ack.go), binary
// (client.go, package packet). What passes between servers is an adapter's: see package cluster.
package socketio
