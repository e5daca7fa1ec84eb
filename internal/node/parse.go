package node

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// message is a parsed message of a worker to other servers. Fields that its kind doesn't have are
// zero.
type message struct {
	id      string // of a question; empty if no answer is wanted
	worker  int    // second generation: the worker that asks
	target  cluster.Target
	flags   cluster.Flags
	payload packet.Payload
	opaque  error // why it cannot leave this host
	rooms   []string
	closes  bool
}

var errNotSent = errors.New("node: no adapter sends that")

// read parses a message. It refuses messages that no adapter sends, because the adapters of other
// workers don't validate: they throw if a field is missing, and their process ends.
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
		m.payload, err = b.payloadOf(data.Object("packet"), limit)
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
		m.payload, m.opaque = payloadOf(data.Get("packet"), limit) // workers of this host get it in any case
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

// payloadOf reads the packet of a broadcast.
func (b *bridge) payloadOf(o *ipc.Object, limit int) (p packet.Payload, err error) {
	text, ok := o.Get("text").(string)
	if b.gen != injected || !ok {
		return payloadOf(o.Get("data"), limit)
	}
	p.JSON = []byte(text)
	if v := jsontext.Value(p.JSON); v.Kind() != '[' || !v.IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
		return p, errNotSent
	}
	binary, ok := o.Get("binary").(*ipc.Array)
	if !ok {
		return p, errNotSent
	}
	for _, item := range binary.Items {
		b, ok := item.([]byte)
		if !ok {
			return p, errNotSent
		}
		p.Attachments = append(p.Attachments, b)
	}
	return p, nil
}

// questionOf returns the id of a question.
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

// describes returns an error unless v is a list of sockets.
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
