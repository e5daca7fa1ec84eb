// Package deaf lets package socketiotest kill a server: a program can't kill a part of itself, but
// the server's handlers can be made to hear nothing any more.
package deaf

// Make removes all handlers and hooks from a *socketio.Server, so that the app hears nothing of
// what follows, as after kill -9. Handlers that are running go on. Package socketio sets it.
var Make func(server any)
