package router

import (
	"sync"
	"time"
)

// wait is a connection's wait for a worker's answer, and what ends it early: the client leaves, or
// the router stops. One follows another, request by request. It is safe for concurrent use.
type wait struct {
	mu   sync.Mutex
	up   *workerConn // what the request waits for; nil: nothing
	ends leave       // what of the client ends the wait
	left leave       // what the client did
	cut  bool        // the router stops
}

// leave grades how far a client has gone.
type leave uint8

const (
	stays      leave = iota
	halfClosed       // it sends no more: whoever polls is gone then, as Node has it too
	hungUp           // it takes nothing any more
	never            // nothing that a client does ends the wait
)

// past is a deadline that ends every wait.
var past = time.Unix(1, 0)

// begin makes the wait for u end when the client has gone as far as l says, when the router stops,
// and at the time until, unless that is zero. It returns false if the client or the router has
// ended it already.
func (w *wait) begin(u *workerConn, l leave, until time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up, w.ends = u, l
	if w.overLocked() {
		return false
	}
	if !until.IsZero() {
		u.Conn.SetReadDeadline(until)
	}
	return true
}

// answered lifts the time that begin set.
func (w *wait) answered(u *workerConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.overLocked() {
		u.Conn.SetReadDeadline(time.Time{})
	}
}

// end ends what begin began. It returns false if the worker's connection was broken off, and can't
// be used any more.
func (w *wait) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.up = nil
	return !w.overLocked()
}

func (w *wait) overLocked() bool { return w.cut || w.leftLocked() }

func (w *wait) leftLocked() bool { return w.ends != never && w.left >= w.ends }

// clientLeft is the watcher's news.
func (w *wait) clientLeft(hup bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left = max(w.left, halfClosed); hup {
		w.left = hungUp
	}
	if w.up != nil && w.overLocked() {
		w.up.Conn.SetDeadline(past)
	}
}

// endedByClient reports whether it was the client that ended the wait, and not the router.
func (w *wait) endedByClient() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.cut && w.leftLocked()
}

// cutOff ends the wait, and each that follows, for the router's sake.
func (w *wait) cutOff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	if w.up != nil {
		w.up.Conn.SetDeadline(past)
	}
}

func (w *wait) isCut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut
}
