package link

import (
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// receive handles one message from Redis and reports whether anything of it is kept. It runs on the
// subscription's goroutine, one message at a time, so a namespace gets messages in the order in
// which they arrived.
func (l *Link) receive(channel string, payload []byte) (kept bool) {
	var err error
	if channel == l.peers.channel {
		err = l.peers.receive(payload)
	} else {
		kept, err = l.form.Receive(channel, payload)
	}
	if err != nil {
		l.Refuse(Malformed, channel, len(payload))
	}
	return kept
}

// IsEcho reports whether uid is one of ours, or of our group.
func (l *Link) IsEcho(uid []byte) bool {
	return l.Config.Group.has(uid) || l.namespaces.has(uid)
}

// Skip counts a message that isn't for this process.
func (l *Link) Skip() { l.Metrics.skipped.Inc() }

// Deliver hands a broadcast of another server to the sockets here.
func (n *Namespace) Deliver(o wire.Options, data packet.Payload, offset string) {
	n.link.Metrics.in.Inc()
	n.Local.Deliver(&cluster.Broadcast{
		Target: cluster.Target{Rooms: o.Rooms, Except: o.Except},
		Flags:  localFlags(o.Flags),
		Data:   data,
		Offset: offset,
	})
}

func localFlags(f wire.Flags) cluster.Flags {
	return cluster.Flags{Volatile: f.Volatile, Compress: f.Compress, Timeout: f.Timeout, ExpectSingleResponse: f.ExpectSingleResponse}
}

// TakeAnswer handles an answer to the request id. Parse runs only if the request is still open:
// most answers that a server hears are for others, or come too late.
func (n *Namespace) TakeAnswer(id []byte, parse func() (wire.Response, error)) (kept bool, err error) {
	request := n.asks.open.get(id)
	if request == nil {
		n.link.Skip()
		return false, nil
	}
	a, err := parse()
	if err != nil {
		return false, err
	}
	if !request.answer(a) {
		return true, wire.ErrMalformed
	}
	n.link.Metrics.in.Inc()
	return true, nil
}
