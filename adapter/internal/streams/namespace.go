package streams

import (
	"sync/atomic"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// namespace is one namespace over a stream.
type namespace struct {
	*link.Namespace
	form     *Form
	channels wire.Channels
	stream   string
	recovery atomic.Pointer[recovery] // nil: off
}

var (
	_ link.Protocol             = (*namespace)(nil)
	_ cluster.RecoveringAdapter = (*namespace)(nil)
)

func (f *Form) newNamespace(name string) *namespace {
	n := &namespace{form: f, channels: wire.NewChannels(f.Config.Key, name), stream: f.cfg.Streams.Of(name)}
	n.Namespace = link.NewNamespace(f.Link, name, link.NewHexID(), n)
	return n
}

// Listen implements link.Protocol.
func (n *namespace) Listen() {
	f := n.form
	f.mu.Lock()
	f.byName[n.Name] = n
	f.mu.Unlock()
	heard := []string{n.Own}
	if !f.Config.AskOnly {
		heard = append(heard, n.channels.Main)
	}
	if f.cfg.ShardedPubSub {
		f.Sub.AddShards(heard...)
	} else {
		f.Sub.Add(heard...)
	}
}

// Unlisten implements link.Protocol.
func (n *namespace) Unlisten() {
	f := n.form
	f.mu.Lock()
	delete(f.byName, n.Name)
	f.mu.Unlock()
	if f.cfg.ShardedPubSub {
		f.Sub.RemoveShards(n.channels.Main, n.Own)
	} else {
		f.Sub.Remove(n.channels.Main, n.Own)
	}
}

// Close implements cluster.Adapter.
func (n *namespace) Close() error {
	if rec := n.recovery.Load(); rec != nil {
		rec.inFlight.close()
	}
	return n.Namespace.Close()
}

// RequestChannel implements link.Protocol.
func (n *namespace) RequestChannel() string { return n.channels.Main }

// AnswerChannel implements link.Protocol.
func (n *namespace) AnswerChannel(uid string) string { return n.channels.AnswersTo(uid) }

// EncodeBroadcast implements link.Protocol.
func (n *namespace) EncodeBroadcast(b *cluster.Broadcast) (link.Message, error) {
	q := wire.Request{Type: wire.BroadcastWithAck, Options: link.Options(b.Target, b.Flags), Data: b.Data}
	return n.entry(make([]byte, 0, link.SizeOf(b)), q)
}

// entry makes q an entry of the stream.
func (n *namespace) entry(dst []byte, q wire.Request) (link.Message, error) {
	if n.form.cfg.OnlyPlaintext {
		q.Data = wire.Plain(q.Data)
	}
	kind, err := q.ClusterType()
	if err != nil {
		return link.Message{}, err
	}
	data, err := wire.AppendEntryData(dst, q)
	return link.Message{Channel: n.stream, Payload: data, Kind: kind, From: n.Namespace}, err
}

// EncodeRequest implements link.Protocol. Joins, leaves and disconnects keep their place in the
// stream. Requests that want answers, and events, go past it.
func (n *namespace) EncodeRequest(q wire.Request) (link.Message, error) {
	switch q.Type {
	case wire.RemoteJoin, wire.RemoteLeave, wire.RemoteDisconnect:
		return n.entry(nil, q)
	}
	msg, err := wire.AppendPackedRequest(nil, n.Name, q)
	return link.Message{Channel: n.channels.Main, Payload: msg}, err
}

// EncodeAnswer implements link.Protocol.
func (n *namespace) EncodeAnswer(q wire.Request, a wire.Response) (link.Message, error) {
	msg, err := wire.AppendPackedResponse(nil, n.UID, n.Name, a)
	return link.Message{Channel: n.AnswerChannel(q.UID), Payload: msg}, err
}

// AsksRooms implements link.Protocol.
func (n *namespace) AsksRooms() bool { return false }

// TimeoutText implements link.Protocol.
func (n *namespace) TimeoutText(_ wire.RequestType, got, expected int) string {
	return link.EventTimeout(got, expected)
}
