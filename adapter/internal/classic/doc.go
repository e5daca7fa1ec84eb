// Package classic is the form of @socket.io/redis-adapter's createAdapter and of
// @socket.io/redis-emitter: classic pub/sub. Each server subscribes to a pattern that matches the
// channels of all rooms, and drops what isn't for its sockets.
//
// form.go has the process's part and the channels, namespace.go what a namespace sends, and
// receive.go a message's way in. The bytes are in adapter/internal/wire.
package classic
