// Package packet reads and writes Engine.IO v4 packets: bytes in, bytes out, no I/O and no state.
//
// A packet is one type digit and its data. Over WebSocket a text frame holds one packet and a
// binary frame holds one binary message. Over polling a body (a payload) holds packets joined by
// the byte 0x1e, binary ones as "b" and base64. The open packet, which begins a session, carries
// JSON; open.go writes it with the key order that the reference uses and finds it in handshake
// responses of any Engine.IO version.
//
// ParseQuery reads the query string of a request, for servers and for the routers before them.
//
// Every function may be called concurrently. Decoded data aliases the input, except base64, which
// is decoded into a slice of its own.
package packet
