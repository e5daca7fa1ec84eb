package node

import (
	"errors"
	"fmt"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// message is what a worker says to other servers. Fields that its kind has not are zero.
type message struct {
	id      string // of a question; empty: no answer is wanted
	worker  int    // second generation: who asks
	target  cluster.Target
	flags   cluster.Flags
	payload packet.Payload
	opaque  error // why it cannot leave this host
	rooms   []string
	closes  bool
}

var errNotSent = errors.New("node: no adapter sends that")

// read takes a message apart. What it refuses no adapter sends, and the adapters that would get it don't look: they throw
// where a field is missing, where JSON.stringify does, and bring their process down.
func (b *bridge) read(k kind, o *ipc.Object) (m message, err error) {
	data := o.Object("data")
	if m.id, err = questionOf(data); err != nil {
		return m, err
	}
	m.worker, _ = data.Int("workerId")
	limit := b.c.h.cfg.MaxFrame
	switch k {
	case kindBroadcast, kindJoin, kindLeave, kindDisconnect, kindFetch:
		m.target, m.flags, m.opaque = targetOf(data.Object("opts"))
		if m.opaque == errNotSent {
			return m, errNotSent
		}
	}
	switch k {
	case kindBroadcast:
		m.payload, err = payloadOf(data.Object("packet").Get("data"), limit)
	case kindJoin, kindLeave:
		rooms, ok := data.Get("rooms").(*ipc.Array)
		if !ok {
			return m, errNotSent
		}
		m.rooms = roomsOf(rooms)
	case kindDisconnect:
		m.closes, _ = data.Get("close").(bool)
	case kindEvent:
		if _, ok := data.Get("packet").(*ipc.Array); !ok {
			return m, errNotSent
		}
		m.payload, m.opaque = payloadOf(data.Get("packet"), limit) // siblings get it whatever it holds
	case kindFetched:
		err = describes(data.Get("sockets"))
	case kindCount:
		if n, ok := data.Int("clientCount"); !ok || n < 0 {
			err = errNotSent
		}
	}
	if needsID := k == kindFetch || k >= kindFetched && k != kindEvent; needsID && m.id == "" {
		err = errNotSent
	}
	return m, err
}

// questionOf reads the name of a question.
func questionOf(data *ipc.Object) (string, error) {
	switch id := data.Get("requestId").(type) {
	case string:
		return id, nil
	case ipc.Undefined:
		return "", nil
	default:
		return "", fmt.Errorf("%w: a requestId of type %T", errNotSent, id)
	}
}

// describes checks that v is a list of sockets.
func describes(v ipc.Value) error {
	a, ok := v.(*ipc.Array)
	if !ok {
		return errNotSent
	}
	for _, item := range a.Items {
		o, ok := item.(*ipc.Object)
		if !ok {
			return errNotSent
		}
		if _, ok := o.Get("rooms").(*ipc.Array); !ok {
			return errNotSent
		}
	}
	return nil
}
