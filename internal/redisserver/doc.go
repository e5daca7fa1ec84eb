// Package redisserver is the embedded Redis of a host without a Redis of its own, and of tests: an
// in-memory Redis on a loopback port. Its pub/sub keeps one order for all messages, as Redis does,
// through channels and patterns alike.
//
// Only the sidereal command and tests import it, so that apps don't compile miniredis and its Lua
// interpreter. [redisconn] is the client side.
//
// [redisconn]: https://pkg.go.dev/github.com/sidereal-io/sidereal/internal/redisconn
package redisserver
