package cluster

import (
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Broadcast is one event on its way to the sockets of a Target. Nobody changes it after it was
// handed over.
type Broadcast struct {
	Target
	Flags Flags
	Data  packet.Payload // ["event",args...]
	// Offset is the event's place in a Recoverer's log. The clients get it as one more argument.
	// An empty Offset adds no argument.
	Offset string
}

// Target selects the sockets that are in any of Rooms and in none of Except. Without Rooms it
// selects from the whole namespace.
type Target struct {
	Rooms  []string
	Except []string
}

// Selects reports whether t selects a socket that is in rooms.
func (t *Target) Selects(rooms []string) bool {
	in := func(names []string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(rooms, name) })
	}
	return (len(t.Rooms) == 0 || in(t.Rooms)) && !in(t.Except)
}

// Flags are the options of one broadcast.
type Flags struct {
	// Volatile drops the event for clients that aren't ready to receive it.
	Volatile bool
	// Compress, if set, says whether transports may compress the event.
	Compress *bool
	// Timeout limits the time that servers wait for answers.
	Timeout time.Duration
	// ExpectSingleResponse says that the broadcast is for one socket, whose answer is a value
	// rather than a list.
	ExpectSingleResponse bool
}

// WithOffset returns event with offset as one more argument. Offsets have letters, digits and
// hyphens only.
func WithOffset(event packet.Payload, offset string) packet.Payload {
	text := slices.Grow(slices.Clip(event.JSON[:len(event.JSON)-1]), len(offset)+4)
	text = append(append(append(text, `,"`...), offset...), `"]`...)
	return packet.Payload{JSON: text, Attachments: event.Attachments}
}
