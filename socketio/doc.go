// Package socketio is a Socket.IO v4 server: namespaces, events with answers, rooms and broadcasts.
// It speaks revision 5 of the protocol, which the official clients speak since version 3, and
// behaves like Node's server. A [Server] serves one process; with a Config.Adapter, the servers of
// many processes share clients and rooms.
//
// # A server
//
// A Server is an http.Handler. Its Run keeps time, ends sessions and waits for handlers:
//
//	io, err := socketio.New(socketio.Config{})
//	io.On("say", func(s *socketio.Socket, room, text string) error {
//		return s.To(room).Emit("said", text)
//	})
//	go http.ListenAndServe(":8080", io)
//	err = io.Run(ctx)
//
// It serves clients below Config.Path. Handle adds the app's own pages. Package worker makes a
// process of a Server, with settings, signals and a graceful shutdown.
//
// # Events
//
// A handler is registered on a [Namespace] and counts for all its sockets. The Server is the main
// namespace, "/". A handler is an ordinary function: its parameters are the arguments of the event,
// and its results answer the client.
//
//	type order struct{ Item string; Count int }
//
//	io.On("order", func(ctx context.Context, s *socketio.Socket, o order) (receipt, error) {
//		if o.Count < 1 {
//			return receipt{}, socketio.NewError("nothing ordered") // the client reads {"error":"nothing ordered"}
//		}
//		u, err := user.Get(s)
//		if err != nil {
//			return receipt{}, err
//		}
//		return shop.Buy(ctx, u, o)
//	})
//
// See [Namespace.On] for the rules. JSON is as JavaScript writes and reads it. []byte values travel
// as binary attachments, at any depth. [Args] and [Value] hold undecoded arguments.
//
// The handlers of one socket run one after the other, in the order of its events. A handler may
// block; sockets don't wait for each other. Socket.Go starts work that outlives the handler. The
// server contains, logs and counts a panic. It runs quick handlers on the goroutine that reads, and
// others on a goroutine that exists while events of the socket wait.
//
// # Answers
//
// Call asks a client and decodes its answer, even inside a handler of that client; EmitWithAck
// leaves it undecoded. An answer such as {"error": "busy"}, which is how our handlers answer when
// they fail, is an [AnswerError]. A broadcast collects one value from each client.
//
//	sure, err := socketio.Call[bool](ctx, s, "confirm", "sure?")
//	answers, err := io.To("jury").Timeout(time.Second).EmitWithAck(ctx, "vote")
//
// # Rooms
//
// A socket is in the room of its own id and in those that it joined. An [Operator] selects sockets
// by rooms, on all servers, and acts on them. A Namespace is an Operator for all its sockets.
//
//	s.Join("lobby")
//	io.To("lobby", "garden").Except(s.ID()).Emit("joined", s.ID())
//
// # Values of a socket
//
// A [Key] has a value for each socket that all servers see: the data of Node's sockets. It has the
// same value after its client has moved to another server, or Key.Set says that it can't. A [Local]
// has anything else: it stays in this process.
//
//	var user = socketio.NewKey[User]("user")
//	var limiter = socketio.NewLocal[*rate.Limiter]()
//
//	io.Share(user)
//	io.Use(func(ctx context.Context, s *socketio.Socket) error { return user.Set(s, whoIs(s)) })
//	io.OnConnect(func(s *socketio.Socket) { limiter.Set(s, rate.NewLimiter(10, 10)) })
//
// # Connecting
//
// Use adds a middleware, which decides who may connect. OnConnect, OnDisconnecting and OnDisconnect
// follow the life of a socket, and its Context ends with it. OfRegexp and OfFunc make namespaces
// when clients ask for them. Config.Recovery restores clients after a short break, and
// OnRecover decides about each of them.
//
// A client can be recovered once it has received an event, because the event says how far the
// client has read. So greet clients that otherwise only listen.
//
// # Limits
//
// The server limits everything that a client can make it keep: see the fields of [Config]. JSON may
// have packet.MaxDepth levels. A client that exceeds a limit or breaks the protocol is closed and
// counted. Arguments that don't fit a handler only cost that event. Lines of the log that clients
// can cause are limited to 5 each second, after 20 at once; left_out counts the others.
//
// # Concurrency
//
// Everything exported may be used concurrently. Emits of one goroutine reach each socket in their
// order. Emitting never waits for a client: data for a slow client is queued, and the server closes
// a client that is too slow (Config.MaxQueueBytes). Arguments are encoded when Emit returns; only
// []byte and Args of a broadcast are shared afterwards. EmitContext adds a context to Emit, which
// Config.Trace sees.
//
// # More
//
// Package msgpack has another form of packets. Package socketiotest tests an app without a network.
// Package cluster is for authors of adapters, and has a Hub that links servers of one process.
package socketio
