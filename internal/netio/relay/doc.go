// Package relay copies bytes between pairs of connections, in both directions, until both have
// ended, one breaks, or [Pair.Cut]. On Linux an event loop does this for all pairs (ADR 0033): a
// pair has no goroutine, no timer, and a buffer only for bytes that a slow reader doesn't take.
//
// # Promises
//
// Each side gets the bytes of the other side in order, and then its end. The end of one direction
// leaves the other one open for 30 s. A connection that breaks ends the pair. A pair queues at most
// one read (64 KB) for each direction and then leaves the rest to the sender's kernel. A side that
// takes nothing for the time given to [New] ends the pair.
//
// # Connections
//
// A loop takes connections that give their descriptor away (TCP, unix sockets), and a [tls.Conn]
// that was made on an [Under]. Each pair of other connections takes two goroutines, and so does
// each pair on systems other than Linux.
//
// # Pace
//
// A loop that is woken often looks for bytes 2,500 times a second instead, as long as each look
// finds several sockets ready. This adds at most 0.4 ms to a message and saves about half of the
// CPU time, since most of it is for waking processes.
package relay
