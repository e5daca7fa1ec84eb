// Package sidereal holds the settings that the packages of Sidereal share. Sidereal runs Socket.IO
// on many processes and many hosts.
//
// [Redis] says which Redis the processes of an app share. The packages connect by themselves:
//
//	directory.Open(ctx, directory.Config{Redis: sidereal.Redis{URL: "redis://10.0.0.5:6379"}})
//
// A program that uses several of them opens one connection with [OpenRedis] and hands it to all.
//
// The packages of the module, in the order in which a program meets them:
//
//   - socketio: a Socket.IO server, its namespaces, sockets and rooms. It works alone, too.
//   - worker: a process that serves a socketio app beside other workers.
//   - adapter: carries broadcasts between servers through Redis, with Node's servers if there are any.
//   - adapter/emitter: sends events from a process that serves no clients.
//   - directory: knows which worker owns a session.
//   - router: brings each request to the worker that owns its session.
//   - client: a Socket.IO client.
//   - engineio: the layer below socketio: sessions, polling, WebSocket.
//
// The command is in cmd/sidereal.
package sidereal
