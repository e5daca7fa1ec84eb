// Package worker runs a Socket.IO app as a process. An app is a function that sets up a server:
//
//	func main() {
//		worker.Main(func(ctx context.Context, io *socketio.Server) error {
//			io.On("say", func(s *socketio.Socket, text string) error { return io.Emit("said", text) })
//			return nil
//		})
//	}
//
// [Main] reads the settings from the environment (docs/configuration.md), handles signals, and ends
// the process. A program that has deferred calls, or a [Config] of its own, calls [Run], which
// returns. [FromEnv] lays the settings of the environment over those of the program.
//
// [InfoFrom] finds, in each context of the app, the worker's id, its connection to Redis, and where
// to register metrics. Work beside the sockets goes to [socketio.Server.Go], and cleaning up to
// [socketio.Server.OnShutdown]: the worker waits for both.
//
// The same binary runs in three places:
//
//   - Alone. Without Redis it serves Config.Addr from memory.
//   - Beside a router, in a container of its own, say. With Redis it also registers there under
//     Config.Advertise, and shares rooms with all other servers. A router shows a key, and the
//     worker believes what it says about the client. Anyone else is a client.
//   - Under `sidereal up ./app`. The supervisor starts one worker per core. A worker has no port:
//     the host's router passes connections to it, and routers of other hosts reach it through that
//     router.
//
// When its context ends, a worker drains: it takes no new sessions, closes the others at
// Config.DrainRate, removes its record, calls the app's functions for the shutdown, and returns.
// The clients reconnect to other workers.
//
// The app's pages, which it registers with io.Handle, are served on the same port as Socket.IO.
package worker
