// Package msgpack is the one codec of MessagePack here: for packets of clients that speak it, and
// for what servers send each other. It goes from MessagePack to JSON text with placeholders and
// back, in one pass, and builds no values between.
//
// The bytes may come from anybody. A [Reader] believes no length that the rest of the message
// cannot hold, so that nothing is allocated for bytes that aren't there; nesting is walked with a
// stack of its own, whose depth callers bound, and never by recursion; the cost of each function is
// linear in the bytes that it reads and writes.
//
// All functions may be called concurrently.
package msgpack
