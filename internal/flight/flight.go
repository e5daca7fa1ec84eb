// Package flight is what socketio tells the process around it about its clients: how sessions ended,
// and what passes while somebody looks. Package worker makes a [Recorder] and gives it to
// socketio.Server.Run with its context. An app doesn't see any of this.
//
// While nobody taps, a Recorder costs one look at a pointer for each event.
package flight

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// Recorder is told what happens to the clients of a server.
type Recorder struct {
	// Ended is called for each session that has ended, and for sockets that ended before their
	// session. It may be called concurrently and must not block. Nil: nobody wants to know.
	Ended func(*End)

	tap atomic.Pointer[func(Passed)]
}

type key struct{}

// With returns a context with r.
func With(ctx context.Context, r *Recorder) context.Context { return context.WithValue(ctx, key{}, r) }

// From returns the context's Recorder, or one that nobody looks at.
func From(ctx context.Context) *Recorder {
	if r, ok := ctx.Value(key{}).(*Recorder); ok {
		return r
	}
	return new(Recorder)
}

// The values of End.By.
const (
	Client  = "client"  // the client left, or broke a rule of the protocol
	Server  = "server"  // a limit, a drain, a rebalance
	App     = "app"     // Disconnect, AllowRequest or a middleware
	Network = "network" // no answer to a ping, or a connection that broke
)

// Refused is the reason of a socket that a middleware, or the server, didn't let in.
const Refused = "refused"

// End says how a session ended, or a socket whose session goes on.
type End struct {
	SID, Address string
	Sockets      []string         // ids of those that were connected or connecting
	Namespaces   []string         // of these sockets
	Reason       string           // Socket.IO's, or Refused
	By           string           // who ended it
	Detail       string           // the error
	Limit        string           // the field of Config that the client exceeded
	Session      eventloop.Ending // of a socket only Value, Transport, At and Opened
	Alive        bool             // the session goes on
	Sending      string           // the event that waited first for the client
	Handler      string           // the event whose handler ran at the end; "connection" of middlewares
	HandlerSince time.Time        // when that began
}

// Socket is a client of which Passed tells.
type Socket interface {
	ID() string
	SID() string
	Address() string
	In(room string) bool
}

// The kinds of Passed.
const (
	Connect    = "connect"
	Disconnect = "disconnect"
	In         = "in"
	Out        = "out"
	Ack        = "ack"
	Join       = "join"
	Leave      = "leave"
	Upgrade    = "upgrade"
)

// Passed is something that happened to a client.
type Passed struct {
	Kind      string
	Socket    Socket
	Namespace string
	Name      string        // of the event or room; the reason of a disconnection
	Bytes     int           // of the arguments, with attachments
	Took      time.Duration // of handlers
	Args      []byte        // JSON, of In and Out; valid during the call only
}

// Tap has f called for all that passes, until stop is called. f may be called concurrently, on
// goroutines that others wait for, and must not block. There is one tap at a time: false means that
// there is another.
func (r *Recorder) Tap(f func(Passed)) (stop func(), ok bool) {
	p := &f
	if !r.tap.CompareAndSwap(nil, p) {
		return nil, false
	}
	return func() { r.tap.CompareAndSwap(p, nil) }, true
}

// Tapped returns the function of the tap, or nil.
func (r *Recorder) Tapped() func(Passed) {
	if f := r.tap.Load(); f != nil {
		return *f
	}
	return nil
}
