package adapter

import (
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// receive takes one message from Redis, and tells whether it keeps anything of it. It runs on the subscription's
// goroutine, one message at a time: what it hands to a namespace is in the order in which it came.
func (r *Redis) receive(channel string, payload []byte) (kept bool) {
	var err error
	if channel == r.peers.channel {
		err = r.peers.hear(payload)
	} else {
		kept, err = r.form.receive(channel, payload)
	}
	if err != nil {
		r.refuse(malformed, channel, len(payload))
	}
	return kept
}

func (f *pubsub) receive(channel string, payload []byte) (kept bool, err error) {
	if key := f.r.cfg.Key; strings.HasPrefix(channel, key) && len(channel) > len(key) && channel[len(key)] == '#' {
		return f.receiveBroadcast(channel, payload)
	}
	f.r.mu.RLock()
	asked, answered := f.requests[channel], f.answers[channel]
	f.r.mu.RUnlock()
	if asked == nil && answered == nil {
		f.r.metrics.skipped.Inc() // of a namespace that was closed meanwhile
		return false, nil
	}
	payload, err = f.unparsed(payload, true)
	switch {
	case err != nil:
		return false, err
	case asked != nil:
		return asked.receiveRequest(payload)
	case channel == answered.own && wire.IsRequest(payload):
		return true, answered.receiveEvent(payload)
	}
	return answered.receiveResponse(payload)
}

// unparsed undoes what Config.Parser did. What grows beyond all bounds by that is refused.
func (f *pubsub) unparsed(payload []byte, mayBeJSON bool) ([]byte, error) {
	msg, err := wire.Unparsed(f.r.cfg.Parser, payload, mayBeJSON)
	if err == nil && len(msg) > f.r.cfg.MaxMessageBytes {
		err = ErrTooLarge
	}
	return msg, err
}

// receiveBroadcast delivers a broadcast that is for somebody here. The others cost little: a look at the channel and at
// the sender first, then a walk over the message for its namespace and rooms, and decoding only at last.
func (f *pubsub) receiveBroadcast(channel string, payload []byte) (kept bool, err error) {
	r := f.r
	if !f.concerns(channel) {
		r.metrics.skipped.Inc()
		return false, nil
	}
	payload, err = f.unparsed(payload, false)
	if err != nil {
		return false, err
	}
	if r.isEcho(wire.Sender(payload)) {
		r.metrics.skipped.Inc()
		return false, nil
	}
	b, err := wire.ParseBroadcast(payload)
	if err != nil {
		return false, err
	}
	r.mu.RLock()
	n := r.byName[string(b.Namespace)]
	r.mu.RUnlock()
	if n == nil || !strings.HasPrefix(channel, n.talk.(pubsubTalk).channels.Main) || b.Rooms.Len() > 0 && !b.Rooms.Any(f.spare, n.hasRoom) {
		r.metrics.skipped.Inc()
		return false, nil
	}
	data, err := b.Payload()
	if err != nil {
		return false, err
	}
	r.metrics.in.Inc()
	n.local.Deliver(&cluster.Broadcast{
		Target: cluster.Target{Rooms: b.Rooms.Strings(), Except: b.Except.Strings()},
		Flags:  localFlags(b.Flags()),
		Data:   data,
	})
	return len(data.Attachments) > 0, nil // all else was written anew
}

func localFlags(f wire.Flags) cluster.Flags {
	return cluster.Flags{Volatile: f.Volatile, Compress: f.Compress, Timeout: f.Timeout, ExpectSingleResponse: f.ExpectSingleResponse}
}

// isEcho tells whether uid is one of ours, or of our group.
func (r *Redis) isEcho(uid []byte) bool {
	if r.cfg.Group.has(uid) {
		return true
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byUID[string(uid)] != nil
}

// concerns tells whether the channel is that of a namespace here, or of a room in it with somebody here. The names in a
// channel are not escaped, so that every # may be where the namespace ends.
func (f *pubsub) concerns(channel string) bool {
	names := channel[len(f.r.cfg.Key)+1:]
	for i := range len(names) {
		if names[i] != '#' {
			continue
		}
		n, longer := f.namespace(names[:i])
		if n != nil {
			if room, single := wire.RoomOf(channel, n.talk.(pubsubTalk).channels.Main); !single || f.hasRoom(n, room) {
				return true
			}
		}
		if !longer {
			return false
		}
	}
	return false
}

// namespace finds an open namespace, and tells whether there may be one with a longer name.
func (f *pubsub) namespace(name string) (n *namespace, longer bool) {
	f.r.mu.RLock()
	defer f.r.mu.RUnlock()
	return f.r.byName[name], len(name) < f.longest
}

// hasRoom tells whether somebody here is in the room that a channel names. Digits may be a room's number or its text.
func (f *pubsub) hasRoom(n *namespace, room string) bool {
	f.spare = append(f.spare[:0], room...)
	if n.hasRoom(f.spare) {
		return true
	}
	if number, ok := number(room); ok {
		f.spare = wire.AppendNumberRoom(f.spare[:0], number)
		return n.hasRoom(f.spare)
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

// receiveRequest reads a request. Messages without a sender are an emitter's.
func (n *namespace) receiveRequest(payload []byte) (kept bool, err error) {
	if wire.RequestFrom(payload, n.uid) {
		n.r.metrics.skipped.Inc()
		return false, nil
	}
	q, err := wire.ParseRequest(payload)
	if err != nil {
		return false, err
	}
	n.take(q)
	return true, nil
}

// receiveEvent takes a server-side event that is for this process alone. Nothing else is asked of one process.
func (n *namespace) receiveEvent(payload []byte) error {
	q, err := wire.ParseRequest(payload)
	if err == nil && q.Type != wire.ServerSideEmit {
		err = wire.ErrMalformed
	}
	if err == nil {
		n.take(q)
	}
	return err
}

// receiveResponse takes an answer. Most are answers to others: all servers hear all.
func (n *namespace) receiveResponse(payload []byte) (kept bool, err error) {
	pending := n.calls.get(wire.ResponseID(payload))
	if pending == nil {
		n.r.metrics.skipped.Inc()
		return false, nil
	}
	a, err := wire.ParseResponse(payload)
	if err != nil {
		return false, err
	}
	if !pending.answer(a) {
		return true, wire.ErrMalformed
	}
	n.r.metrics.in.Inc()
	return true, nil
}
