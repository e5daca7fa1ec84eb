package adapter

import (
	"strconv"
	"strings"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio"
)

// receive takes one message from Redis. It runs on the subscription's goroutine, one message at a time: what it hands to
// a namespace is in the order in which it came. The payload may be kept.
func (r *Redis) receive(channel string, payload []byte) {
	if len(payload) > r.cfg.MaxMessageBytes {
		r.refuse(oversized, channel, len(payload))
		return
	}
	if strings.HasPrefix(channel, r.cfg.Key) && len(channel) > len(r.cfg.Key) && channel[len(r.cfg.Key)] == '#' {
		r.receiveBroadcast(channel, payload)
		return
	}
	r.mu.RLock()
	asked, answered := r.requests[channel], r.answers[channel]
	r.mu.RUnlock()
	var err error
	switch {
	case asked != nil:
		err = asked.receiveRequest(payload)
	case answered != nil:
		err = answered.receiveResponse(payload)
	case channel == r.peers.channel:
		err = r.peers.hear(payload)
	default: // of a namespace that was closed meanwhile
		r.metrics.skipped.Inc()
	}
	if err != nil {
		r.refuse(malformed, channel, len(payload))
	}
}

// receiveBroadcast delivers a broadcast that is for somebody here. The others cost little: a look at the channel and at
// the sender first, then a walk over the message for its namespace and rooms, and decoding only at last.
func (r *Redis) receiveBroadcast(channel string, payload []byte) {
	if !r.concerns(channel) || r.isEcho(payload) {
		r.metrics.skipped.Inc()
		return
	}
	b, err := wire.ParseBroadcast(payload)
	if err != nil {
		r.refuse(malformed, channel, len(payload))
		return
	}
	r.mu.RLock()
	n := r.byName[string(b.Namespace)]
	r.mu.RUnlock()
	if n == nil || !strings.HasPrefix(channel, n.channels.Main) || b.Rooms.Len() > 0 && !b.Rooms.Any(r.spare, n.hasRoom) {
		r.metrics.skipped.Inc()
		return
	}
	data, err := b.Payload()
	if err != nil {
		r.refuse(malformed, channel, len(payload))
		return
	}
	r.metrics.in.Inc()
	n.local.Deliver(&socketio.Broadcast{
		Target: socketio.Target{Rooms: b.Rooms.Strings(), Except: b.Except.Strings()},
		Flags:  localFlags(b.Flags()),
		Data:   data,
	})
}

func localFlags(f wire.Flags) socketio.Flags {
	return socketio.Flags{Volatile: f.Volatile, Compress: f.Compress, Timeout: f.Timeout, ExpectSingleResponse: f.ExpectSingleResponse}
}

// isEcho tells whether the message is one of ours.
func (r *Redis) isEcho(payload []byte) bool {
	uid := wire.Sender(payload)
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byUID[string(uid)] != nil
}

// concerns tells whether the channel is that of a namespace here, or of a room in it with somebody here. The names in a
// channel are not escaped, so that every # may be where the namespace ends.
func (r *Redis) concerns(channel string) bool {
	names := channel[len(r.cfg.Key)+1:]
	for i := range len(names) {
		if names[i] != '#' {
			continue
		}
		n, longer := r.namespace(names[:i])
		if n != nil {
			if room, single := wire.RoomOf(channel, n.channels.Main); !single || r.hasRoom(n, room) {
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
func (r *Redis) namespace(name string) (n *pubsub, longer bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byName[name], len(name) < r.longest
}

// hasRoom tells whether somebody here is in the room that a channel names. Digits may be a room's number or its text.
func (r *Redis) hasRoom(n *pubsub, room string) bool {
	r.spare = append(r.spare[:0], room...)
	if n.hasRoom(r.spare) {
		return true
	}
	if number, ok := number(room); ok {
		r.spare = wire.AppendNumberRoom(r.spare[:0], number)
		return n.hasRoom(r.spare)
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

// receiveResponse takes an answer. Most are answers to others: all servers hear all.
func (n *pubsub) receiveResponse(payload []byte) error {
	pending := n.calls.get(wire.ResponseID(payload))
	if pending == nil {
		n.r.metrics.skipped.Inc()
		return nil
	}
	a, err := wire.ParseResponse(payload)
	if err != nil {
		return err
	}
	if !pending.answer(a) {
		return wire.ErrMalformed
	}
	n.r.metrics.in.Inc()
	return nil
}
