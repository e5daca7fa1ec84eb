// Package streams is the form of @socket.io/redis-streams-adapter: what all servers have to do is
// an entry of a stream. Each server reads the stream from a place of its own, and goes on there
// after a break. Questions and answers go through pub/sub, and have no order with the stream.
//
//	form.go       the process's part
//	namespace.go  what a namespace sends
//	reader.go     reads the streams and hands each entry to its namespace
//	window.go     bounds the bytes of a stream
//	trimmed.go    counts entries that Redis trimmed before they were read
//	offset.go     a place in a stream
//
// A server with connection state recovery may take over the clients of another server, Node's
// included:
//
//	recovery.go   the namespace's part, and a client that comes back
//	inflight.go   broadcasts of this process wait here for their place in the stream, which is their offset
//	tail.go       the entries read last, for clients that missed them
//	lease.go      the time during which a socket here owns a snapshot, and the script by which owners change
//	snapshots.go  stores the snapshots, many at a time
package streams
