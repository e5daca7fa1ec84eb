package classic

import (
	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// namespace is one namespace over classic pub/sub.
type namespace struct {
	*link.Namespace
	form     *Form
	channels wire.Channels
}

var _ link.Protocol = (*namespace)(nil)

func (f *Form) newNamespace(name string) *namespace {
	n := &namespace{form: f, channels: wire.NewChannels(f.Config.Key, name)}
	n.Namespace = link.NewNamespace(f.Link, name, newUID(), n)
	return n
}

// newUID names one namespace of one process: 6 characters, like Node's.
func newUID() string { return link.NewID(6)[:6] }

// Listen implements link.Protocol.
func (n *namespace) Listen() {
	f, c := n.form, n.channels
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[c.Response] = n
	f.answers[n.Own] = n
	if f.Config.AskOnly {
		f.Sub.Add(c.Response, n.Own)
		return
	}
	f.byName[n.Name] = n
	f.requests[c.Request] = n
	f.longest = max(f.longest, len(n.Name))
	f.Sub.Add(c.Request, c.Response, n.Own)
	f.listenLocked()
}

// Unlisten implements link.Protocol.
func (n *namespace) Unlisten() {
	f, c := n.form, n.channels
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.byName, n.Name)
	delete(f.requests, c.Request)
	delete(f.answers, c.Response)
	delete(f.answers, n.Own)
	f.listenLocked()
	f.Sub.Remove(c.Request, c.Response, n.Own)
}

// RequestChannel implements link.Protocol.
func (n *namespace) RequestChannel() string { return n.channels.Request }

// AnswerChannel implements link.Protocol.
func (n *namespace) AnswerChannel(uid string) string { return n.channels.ResponseTo(uid) }

// EncodeBroadcast implements link.Protocol.
func (n *namespace) EncodeBroadcast(b *cluster.Broadcast) (link.Message, error) {
	o := link.Options(b.Target, b.Flags)
	channel := n.channels.Main
	if len(o.Rooms) == 1 {
		channel = n.channels.Room(o.Rooms[0])
	}
	msg, err := wire.AppendBroadcast(make([]byte, 0, link.SizeOf(b)), n.UID, n.Name, b.Data, o)
	return n.message(channel, msg, err)
}

// EncodeRequest implements link.Protocol.
func (n *namespace) EncodeRequest(q wire.Request) (link.Message, error) {
	msg, err := wire.AppendRequest(nil, q)
	return n.message(n.channels.Request, msg, err)
}

// EncodeAnswer implements link.Protocol. An answer to a server of ours names who answers and goes
// to that server alone. Towards Node the bytes and the channel are Node's.
func (n *namespace) EncodeAnswer(q wire.Request, a wire.Response) (link.Message, error) {
	channel := n.channels.Response
	switch {
	case q.UID == "":
	case q.Sidereal:
		a.UID = n.UID
		channel = n.channels.ResponseTo(q.UID)
	case n.form.cfg.SpecificResponses && a.Type != wire.ServerSideEmit:
		channel = n.channels.ResponseTo(q.UID)
	}
	msg, err := wire.AppendResponse(nil, a)
	return n.message(channel, msg, err)
}

// message is an encoded message in the form of the Parser.
func (n *namespace) message(channel string, msg []byte, err error) (link.Message, error) {
	msg, err = wire.Parsed(n.form.cfg.Parser, msg, err)
	return link.Message{Channel: channel, Payload: msg}, err
}

// AsksRooms implements link.Protocol.
func (n *namespace) AsksRooms() bool { return true }

// TimeoutText implements link.Protocol.
func (n *namespace) TimeoutText(t wire.RequestType, got, expected int) string {
	switch t {
	case wire.RemoteFetch:
		return "timeout reached while waiting for fetchSockets response"
	case wire.AllRooms:
		return "timeout reached while waiting for allRooms response"
	}
	return link.EventTimeout(got, expected)
}
