// Package sidereal says which Redis the processes of an app share. The module runs Socket.IO on
// many processes and many hosts. An app imports packages socketio and worker, and rarely this one:
//
//	func main() {
//		worker.Main(func(ctx context.Context, io *socketio.Server) error {
//			io.On("say", func(s *socketio.Socket, text string) error { return io.Emit("said", text) })
//			return nil
//		})
//	}
//
// docs/app.md builds an app step by step.
//
// # Redis
//
// A program that configures packages by itself gives each a [Redis]; they connect by themselves. A
// program that uses several of them opens one connection with [OpenRedis], runs it, and hands it to
// all:
//
//	conn, err := sidereal.OpenRedis(sidereal.Redis{URL: "redis://10.0.0.5:6379"}, log, nil)
//	if err != nil {
//		return err // a wrong setting
//	}
//	defer conn.Close()
//	go conn.Run(ctx)
//	dir, err := directory.Open(ctx, directory.Config{Conn: conn})
//	cluster, err := adapter.New(adapter.Config{Conn: conn})
//
// # Packages
//
//   - socketio: a Socket.IO server, its namespaces, sockets and rooms. It works alone, too.
//   - worker: a process that serves a socketio app beside other workers.
//   - socketio/adminui: Socket.IO's Admin UI for a server.
//   - socketio/socketiotest: tests of an app, on several servers, without a network.
//   - client: a Socket.IO client.
//   - adapter/emitter: sends events from a process that serves no clients.
//   - adapter: carries broadcasts between servers through Redis, with Node's servers if there are
//     any.
//   - directory: knows which worker owns a session.
//   - router: brings each request to the worker that owns its session.
//   - engineio: the layer below socketio: sessions, polling, WebSocket.
//
// The command is in cmd/sidereal.
package sidereal
