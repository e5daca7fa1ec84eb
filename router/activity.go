package router

import (
	"sync/atomic"
	"time"
)

// activity is what a connection does at the moment. The goroutine that serves the connection sets
// it. A drain and the budget of descriptors end a connection that rests.
type activity struct {
	state atomic.Uint32 // a connState
	since atomic.Int64  // Unix nanoseconds when it became idle; 0: a multiplexer has requests
}

type connState uint32

const (
	connActive connState = iota
	connFresh            // before its first request, which may be on its way
	connIdle             // between requests: may be closed at any time
	connMuxed            // with a multiplexer
	connClosed
)

func (a *activity) now() connState { return connState(a.state.Load()) }

func (a *activity) move(from, to connState) bool {
	return a.state.CompareAndSwap(uint32(from), uint32(to))
}

// rest begins the wait for a request, the first or the next one.
func (a *activity) rest(as connState, now time.Time) {
	a.since.Store(now.UnixNano())
	a.state.Store(uint32(as))
}

// resume ends a rest. It returns false if the router has closed the connection meanwhile.
func (a *activity) resume(from connState) bool { return a.move(from, connActive) }

// mux notes that a multiplexer serves the connection from now on.
func (a *activity) mux() { a.state.Store(uint32(connMuxed)) }

// muxes notes whether the multiplexer has requests.
func (a *activity) muxes(requests bool) {
	since := int64(0)
	if !requests {
		since = time.Now().UnixNano()
	}
	a.since.Store(since)
}

// idleSince is when the connection's last request ended, in Unix nanoseconds; 0: it has one, or is
// a newcomer.
func (a *activity) idleSince() int64 {
	switch a.now() {
	case connIdle, connMuxed:
		return a.since.Load()
	}
	return 0
}

// giveUp reports whether the connection is between two requests and may be closed: the next one
// won't begin.
func (a *activity) giveUp() bool {
	return a.move(connIdle, connClosed) || a.now() == connMuxed && a.since.Load() != 0
}

// drain is giveUp for a connection without a multiplexer, and for one that may have waited long
// enough for its first request.
func (a *activity) drain(waited bool) bool {
	return a.move(connIdle, connClosed) || waited && a.move(connFresh, connClosed)
}
