// Package wire encodes and decodes the messages that Node's Socket.IO adapters exchange over Redis.
// It does no I/O, and has no goroutines and no state. Every function may be called concurrently.
//
// Inside Sidereal the arguments of an event are JSON with placeholders for binary (packet.Payload),
// as clients get them. Node's adapters use msgpack. internal/msgpack converts in one pass, without
// building values:
//
//   - From msgpack to JSON: binary becomes a placeholder and an attachment, timestamps become the text
//     that JSON.stringify gives a Date, numbers are printed as in JavaScript.
//   - From JSON to msgpack: each header has its smallest form, as in notepack.
//
// Both keep the order of keys, drop a key `__proto__` (notepack would set the prototype of the
// receiver's object) and limit the depth. A message that goes through both has the same bytes
// again, with two exceptions that clients can't see: a timestamp becomes its text, and notepack's
// corrupted numbers from 2^64 on become the floats that they are.
//
// The sections of docs/adapter-wire.md describe the messages:
//
//	broadcast.go, request.go, response.go  the classic adapter (2); channels.go has its channels
//	cluster.go, clusterwriter.go           the cluster messages of the other adapters (3 and 4), in
//	                                       both of their encodings (encoding.go)
//	entry.go, stream.go, snapshot.go       the streams adapter (5)
//
// A broadcast is read in two steps: ParseBroadcast finds its parts without allocating, and
// Broadcast.Payload converts the body. So a broadcast for nobody here costs no decoding.
package wire
