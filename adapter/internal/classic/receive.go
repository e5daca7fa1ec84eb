package classic

import (
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// Receive implements link.Form.
func (f *Form) Receive(channel string, payload []byte) (kept bool, err error) {
	if key := f.Config.Key; strings.HasPrefix(channel, key) && len(channel) > len(key) && channel[len(key)] == '#' {
		return f.receiveBroadcast(channel, payload)
	}
	f.mu.RLock()
	asked, answered := f.requests[channel], f.answers[channel]
	f.mu.RUnlock()
	if asked == nil && answered == nil {
		f.Skip() // the namespace was closed meanwhile
		return false, nil
	}
	payload, err = f.unparsed(payload, true)
	switch {
	case err != nil:
		return false, err
	case asked != nil:
		return asked.receiveRequest(payload)
	case channel == answered.Own && wire.IsRequest(payload):
		return true, answered.receiveEvent(payload)
	}
	return answered.TakeAnswer(wire.ResponseID(payload), func() (wire.Response, error) { return wire.ParseResponse(payload) })
}

// unparsed undoes what the Parser did. It refuses a message that becomes too large.
func (f *Form) unparsed(payload []byte, mayBeJSON bool) ([]byte, error) {
	msg, err := wire.Unparsed(f.cfg.Parser, payload, mayBeJSON)
	if err == nil && len(msg) > f.Config.MaxMessageBytes {
		err = link.ErrTooLarge
	}
	return msg, err
}

// receiveBroadcast delivers a broadcast that is for somebody here. The others cost little: it looks
// at the channel and the sender first, then walks over the message for its namespace and rooms, and
// decodes it last.
func (f *Form) receiveBroadcast(channel string, payload []byte) (kept bool, err error) {
	if !f.concerns(channel) {
		f.Skip()
		return false, nil
	}
	payload, err = f.unparsed(payload, false)
	if err != nil {
		return false, err
	}
	if f.IsEcho(wire.Sender(payload)) {
		f.Skip()
		return false, nil
	}
	b, err := wire.ParseBroadcast(payload)
	if err != nil {
		return false, err
	}
	f.mu.RLock()
	n := f.byName[string(b.Namespace)]
	f.mu.RUnlock()
	if n == nil || !strings.HasPrefix(channel, n.channels.Main) || b.Rooms.Len() > 0 && !b.Rooms.Any(f.spare, n.HasRoom) {
		f.Skip()
		return false, nil
	}
	data, err := b.Payload()
	if err != nil {
		return false, err
	}
	n.Deliver(wire.Options{Rooms: b.Rooms.Strings(), Except: b.Except.Strings(), Flags: b.Flags()}, data, "")
	return len(data.Attachments) > 0, nil // the rest was written anew
}

// concerns reports whether the channel is that of a namespace here, or of a room in it with
// somebody here. The names in a channel aren't escaped, so the namespace may end at any #.
func (f *Form) concerns(channel string) bool {
	names := channel[len(f.Config.Key)+1:]
	for i := range len(names) {
		if names[i] != '#' {
			continue
		}
		n, longer := f.namespace(names[:i])
		if n != nil {
			if room, single := wire.RoomOf(channel, n.channels.Main); !single || f.hasRoom(n, room) {
				return true
			}
		}
		if !longer {
			return false
		}
	}
	return false
}

// namespace finds an open namespace, and reports whether there may be one with a longer name.
func (f *Form) namespace(name string) (n *namespace, longer bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.byName[name], len(name) < f.longest
}

// hasRoom reports whether somebody here is in the room that a channel names. Digits may be a room's
// number or its text.
func (f *Form) hasRoom(n *namespace, room string) bool {
	f.spare = append(f.spare[:0], room...)
	if n.HasRoom(f.spare) {
		return true
	}
	if number, ok := number(room); ok {
		f.spare = wire.AppendNumberRoom(f.spare[:0], number)
		return n.HasRoom(f.spare)
	}
	return false
}

// number reads digits as JavaScript would write them.
func number(s string) (int64, bool) {
	if s == "" || len(s) > 17 || s[0] != '-' && (s[0] < '0' || s[0] > '9') {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// receiveRequest handles a request. Requests without a sender are an emitter's.
func (n *namespace) receiveRequest(payload []byte) (kept bool, err error) {
	if wire.RequestFrom(payload, n.UID) {
		n.form.Skip()
		return false, nil
	}
	q, err := wire.ParseRequest(payload)
	if err != nil {
		return false, err
	}
	n.TakeRequest(q)
	return true, nil
}

// receiveEvent handles a server-side event for this process alone. No other request goes to one
// process.
func (n *namespace) receiveEvent(payload []byte) error {
	q, err := wire.ParseRequest(payload)
	if err == nil && q.Type != wire.ServerSideEmit {
		err = wire.ErrMalformed
	}
	if err == nil {
		n.TakeRequest(q)
	}
	return err
}
