// Package wire holds the bytes that Node's Socket.IO adapters exchange over Redis, and nothing else: no I/O, no
// goroutines, no state. Every function may be called concurrently.
//
// Inside Sidereal the arguments of an event are JSON text with placeholders where binary stands
// (packet.Payload), which is also what clients are sent. Node's adapters speak msgpack. The two
// transcoders of internal/msgpack go from one to the other in one pass and build no values between:
//
//   - msgpack to JSON text. Binary becomes a placeholder and an attachment, timestamps become the text that
//     JSON.stringify gives a Date, numbers are printed as JavaScript prints them.
//   - JSON text to msgpack, each header in its smallest form, as notepack writes it.
//
// Both keep the order of keys, never pass on a key `__proto__` (notepack would set the prototype of the receiver's object)
// and bound the depth. What comes out of one goes through the other to the same bytes, with two exceptions, neither of
// which a client can see: a timestamp comes back as the string it would be in JSON, and notepack's corrupted numbers
// of 2^64 and more are written as the float they are.
//
// broadcast.go and request.go have the messages of the classic adapter (docs/adapter-wire.md, 2); a broadcast is read in
// two steps, so that one for nobody here costs no decoding: ParseBroadcast finds the parts without allocating, and
// Broadcast.Payload transcodes the body. channels.go has their channels. cluster.go has the messages of the sharded adapter
// (docs/adapter-wire.md, 3 and 4) in both of their encodings, which encoding.go tells apart; what they ask and answer is a Request
// and a Response, as in the classic adapter.
package wire
