package socketio

import (
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/wheel"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// PacketError reports a malformed packet of a client. The server closes the connection after
// OnError.
type PacketError struct{ Err error }

// Error returns the words of Node's parser.
func (e *PacketError) Error() string {
	switch e.Err {
	case packet.ErrType:
		return "unknown packet type"
	case packet.ErrAttachments:
		return "Illegal attachments"
	case errBinary:
		return "got binary data when not reconstructing a packet"
	case errText:
		return "got plaintext data when reconstructing a packet"
	}
	return "invalid payload"
}

// Unwrap returns the exact error.
func (e *PacketError) Unwrap() error { return e.Err }

// maxErrorWait limits the time for OnError before the connection is closed.
const maxErrorWait = time.Second

// malformed closes a connection for a malformed packet after OnError has been called for its
// sockets.
type malformed struct {
	client *client
	err    *PacketError
	left   atomic.Int32 // those who are still to be told
	said   atomic.Bool
	timer  wheel.Timer
}

// closeMalformed calls OnError for each connected socket and then closes the connection.
func (c *client) closeMalformed(err error) {
	c.ignoring = true
	f := &malformed{client: c, err: &PacketError{err}}
	f.left.Store(1)
	f.timer.Owner = f
	c.server.wheel.Schedule(&f.timer, maxErrorWait)
	for _, s := range c.all() {
		if n := s.joined(); n != nil && len(n.registry.Load().errors) > 0 {
			f.left.Add(1)
			e := newEvent(s, packet.NoID, nil, Args{}, 0)
			e.malformed = f
			c.append(e)
			_ = c.charge(e.size) // the connection ends anyway
		}
	}
	c.handOut(func(s *Socket) { s.start(nil) })
	f.reported()
}

// reported counts a socket whose OnError has returned. The last one closes the connection.
func (f *malformed) reported() {
	if f.left.Add(-1) == 0 {
		f.client.server.wheel.Stop(&f.timer)
		f.Expire(nil)
	}
}

// Expire closes the connection, after all calls of OnError or without waiting longer.
func (f *malformed) Expire(*wheel.Timer) {
	if !f.said.Swap(true) {
		f.client.violated(violationMalformed, "", f.err.Err)
	}
}
