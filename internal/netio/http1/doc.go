// Package http1 reads the heads and the chunked bodies of HTTP/1 messages (RFC 9112) where they
// are, in buffers of the caller's.
//
// It refuses whatever two implementations could understand differently: who disagrees about where a
// request ends, or whose it is, can be made to see a request that nobody sent. It indexes what it
// accepts, and copies and allocates nothing. Routers and workers read with it alike, so that what
// one forwards the other takes for the same.
//
// A [Head] or a [Chunks] belongs to one goroutine at a time.
package http1
