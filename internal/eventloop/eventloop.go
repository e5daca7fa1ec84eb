// Package eventloop is what engineio offers to socketio alone: an event loop on the goroutine that
// reads the connections. A Receiver of engineio that implements [Receiver] leaves its work to that
// loop, so that most events need no goroutine of their own (ADR 0016). The loop itself is
// engineio's.
package eventloop

import (
	"errors"
	"time"
)

// Receiver is an engineio.Receiver that leaves work to the event loop.
type Receiver interface {
	// IdleOn replaces engineio.Receiver's Idle. It adds the work of the messages of one read to
	// loop, which is valid during the call only.
	IdleOn(loop Loop)
	// Busy reports whether some of that work isn't done yet. A drain lets a busy receiver finish. It
	// may be called on any goroutine.
	Busy() bool
	// Pinned reports whether the app wants the session to stay on this server: see
	// socketio.Pinned. It may be called on any goroutine.
	Pinned() bool
}

// Upgrader is an engineio.Receiver that wants to know of upgrades.
type Upgrader interface {
	// Upgraded is called after the session has moved from polling to WebSocket, never concurrently
	// with the methods of engineio.Receiver. It must not block.
	Upgraded()
}

// Loop does work after everything has been read that can be read now.
type Loop interface {
	// Later adds w. The loop does it on the goroutine that reads, if it can, else on another one.
	Later(w Work)
}

// Work is something that may take long, such as an app's handlers.
type Work interface {
	// Do does the work and reports whether all is done. It returns false before a part that
	// probably takes longer than the limit allows. The loop then calls it again, Unlimited, on a
	// goroutine of its own.
	Do(limit Limit) (done bool)
	// Overdue is called on another goroutine while a limited Do takes longer than it should. The
	// other connections don't wait for it any more.
	Overdue()
}

// Limit is how long Work may occupy the goroutine that does it.
type Limit uint8

const (
	Unlimited Limit = iota // nobody waits for the goroutine
	Short                  // it reads the connections, and nothing else is to be done at the moment
	Brief                  // it reads the connections, and other work waits
)

// ErrMoved ends a session so that its client goes to another server: see engineio.Server.Move.
var ErrMoved = errors.New("engineio: session moved to another server")

// Ender is an engineio.Receiver that wants to know how its session ended.
type Ender interface {
	// Ended is called just before Closed, with the same reason and error. It must not block.
	Ended(reason string, err error, e *Ending)
}

// Ending is what engineio knows of a session at its end. Times that aren't known are zero.
type Ending struct {
	Value      func(key any) any // of the context of the session's first request
	Transport  string
	At, Opened time.Time
	// Pinged is when the last ping was sent, Ponged when the last pong came.
	Pinged, Ponged time.Time
	// Queue has the bytes that waited for the client, as engineio.Config.MaxQueueBytes counts them.
	// Sending is the first text message that waited.
	Queue   int
	Sending []byte
	// CloseCode is that of the client's close frame, 1005 if it had none, 0 if there was no frame.
	CloseCode int
	// Closing means that the client of a session on polling said that it closes.
	Closing bool

	// Limit is the field of engineio.Config that the client exceeded.
	Limit string

	// Measured means that the kernel knows the connection. Heard is when the last bytes came from
	// its other end, Sent when the last were sent there, Unacked how many segments that end hadn't acknowledged, and Retransmits how often
	// the first of these was sent again without an answer.
	Measured             bool
	Heard, Sent          time.Time
	Unacked, Retransmits int
}
