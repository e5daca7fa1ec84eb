// Package worker makes a process of a Socket.IO app. An app is a function that sets a server up:
//
//	func main() {
//		worker.Main(func(ctx context.Context, io *socketio.Server) error {
//			io.On("say", func(s *socketio.Socket, text string) error { return io.Emit("said", text) })
//			return nil
//		})
//	}
//
// The same binary runs in three places, told apart by its environment (docs/configuration.md):
//
//   - Alone: without SIDEREAL_REDIS_URL it serves SIDEREAL_ADDR from memory.
//   - In a container of its own, beside a router on the same Redis: with SIDEREAL_REDIS_URL it also registers there, under
//     SIDEREAL_ADVERTISE, and its clients share rooms with all others. Routers show a key; what they say about the client
//     is believed. Anyone else is a client.
//   - Under `sidereal up ./app`: the supervisor starts one per core. It has no port: the host's router passes connections to
//     it (internal/netio/handoff), and routers of other hosts come through their own host's door.
//
// A [Worker] is made by New and lives in Run: it registers under a worker id of its own ([Info]), serves, and, once its
// context ends, drains: it takes no new sessions, closes the others at SIDEREAL_DRAIN_RATE at the Engine.IO level, from which
// clients come back by themselves elsewhere, says goodbye in the directory, and ends. [Main] adds what a process is:
// settings from the environment, signals, exit codes.
//
// Most of what a router forwards is polling. lean.go serves that without net/http, on a goroutine for each connection (conn.go)
// that holds nothing while it waits: request.go makes what an http.Handler gets, response.go takes the answer, at once or when a
// parked poll has one. Whatever else comes over such a connection is net/http's, and so is the connection from then on.
//
// An app is called once, before the first connection, and must return: the worker is ready when it has. Its context ends
// when the worker has drained; goroutines of its own may use it. What the app registers with io.Handle is served on the same
// port as Socket.IO.
package worker
