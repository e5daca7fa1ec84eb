package client

import (
	"slices"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// unsent is an event that waits for the connection.
type unsent struct {
	head        packet.Header
	body        []byte
	attachments [][]byte
}

// newUnsent copies an event.
func newUnsent(h packet.Header, body []byte, attachments [][]byte) unsent {
	u := unsent{head: h, body: slices.Clone(body)}
	for _, a := range attachments {
		u.attachments = append(u.attachments, slices.Clone(a))
	}
	return u
}

func (u *unsent) size() int {
	n := len(u.body)
	for _, a := range u.attachments {
		n += len(a)
	}
	return n
}

// outbox has the events that a socket emitted while it wasn't connected, and counts what waits to
// be sent. The methods are called under client.mu.
type outbox struct {
	events []unsent
	bytes  int // reserved, for events and deliveries
}

// reserve counts n bytes unless they would exceed limit.
func (o *outbox) reserve(n, limit int) error {
	if o.bytes+n > limit {
		return ErrQueueFull
	}
	o.bytes += n
	return nil
}

// keep adds an event.
func (o *outbox) keep(u unsent, limit int) error {
	if err := o.reserve(u.size(), limit); err != nil {
		return err
	}
	o.events = append(o.events, u)
	return nil
}

// has reports whether an event waits that asks for the acknowledgement id.
func (o *outbox) has(id int64) bool {
	return slices.ContainsFunc(o.events, func(u unsent) bool { return u.head.ID == id })
}

// remove drops the event that asks for the acknowledgement id.
func (o *outbox) remove(id int64) {
	o.events = slices.DeleteFunc(o.events, func(u unsent) bool {
		if u.head.ID != id {
			return false
		}
		o.bytes -= u.size()
		return true
	})
}

// flush sends the events. From the first that send refuses they stay for the next time.
func (o *outbox) flush(send func(u *unsent) error) {
	for i := range o.events {
		u := &o.events[i]
		if send(u) != nil {
			o.events = o.events[i:]
			return
		}
		o.bytes -= u.size()
	}
	o.events = nil
}
