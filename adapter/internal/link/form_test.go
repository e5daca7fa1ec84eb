package link

import (
	"context"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

func TestMain(m *testing.M) { linktest.Main(m) }

// simple is the simplest form there can be: cluster messages on one ordinary channel for each
// namespace.
type simple struct {
	*Link
	scratch wire.Scratch
}

func newSimple(t testing.TB, cfg Config) *simple {
	t.Helper()
	f := &simple{}
	var err error
	if f.Link, err = New(cfg, f, Hooks{}); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *simple) Open(local cluster.Local) (cluster.Adapter, error) {
	n := &simpleNamespace{form: f, channel: f.Config.Key + "#" + local.Name() + "#"}
	n.Namespace = NewNamespace(f.Link, local.Name(), NewHexID(), n)
	if err := f.Add(n.Namespace, local); err != nil {
		return nil, err
	}
	return n, nil
}

func (f *simple) Receive(channel string, payload []byte) (kept bool, err error) {
	c, err := wire.ParseCluster(payload)
	if err != nil {
		return false, err
	}
	n := f.Find(c.Namespace)
	if n == nil || f.IsEcho(c.UID) {
		f.Skip()
		return false, nil
	}
	return n.TakeCluster(channel, &c, &f.scratch)
}

func (f *simple) NodeKey(Message) string { return "" }

func (f *simple) Publish(ctx context.Context, pipe redis.Pipeliner, m Message) {
	pipe.Publish(ctx, m.Channel, m.Payload)
}

func (f *simple) NumSub(ctx context.Context, node *redis.Client, channels []string) (map[string]int64, error) {
	return node.PubSubNumSub(ctx, channels...).Result()
}

func (f *simple) Trials(string, bool) []Trial { return nil }

type simpleNamespace struct {
	*Namespace
	form    *simple
	channel string
}

func (n *simpleNamespace) Listen()                         { n.form.Sub.Add(n.channel, n.Own) }
func (n *simpleNamespace) Unlisten()                       { n.form.Sub.Remove(n.channel, n.Own) }
func (n *simpleNamespace) RequestChannel() string          { return n.channel }
func (n *simpleNamespace) AnswerChannel(uid string) string { return n.channel + uid + "#" }
func (n *simpleNamespace) AsksRooms() bool                 { return false }

func (n *simpleNamespace) TimeoutText(_ wire.RequestType, got, expected int) string {
	return EventTimeout(got, expected)
}

func (n *simpleNamespace) EncodeBroadcast(b *cluster.Broadcast) (Message, error) {
	msg, err := wire.AppendClusterBroadcast(nil, n.UID, n.Name, b.Data, Options(b.Target, b.Flags))
	return Message{Channel: n.channel, Payload: msg}, err
}

func (n *simpleNamespace) EncodeRequest(q wire.Request) (Message, error) {
	msg, err := wire.AppendClusterRequest(nil, n.Name, q)
	return Message{Channel: n.channel, Payload: msg}, err
}

func (n *simpleNamespace) EncodeAnswer(q wire.Request, a wire.Response) (Message, error) {
	msg, err := wire.AppendClusterResponse(nil, n.UID, n.Name, a)
	return Message{Channel: n.AnswerChannel(q.UID), Payload: msg}, err
}

// server is one process of a cluster.
type server struct {
	*Link
	end func()
}

// start runs a server that ends with the test, and returns once it hears the others.
func start(t testing.TB, url string, cfg Config, locals ...*linktest.Local) (*server, []cluster.Adapter) {
	t.Helper()
	cfg.Conn, cfg.OwnConn = linktest.Connect(t, url), true
	f := newSimple(t, cfg)
	adapters, end := linktest.Start(t, f, locals...)
	return &server{f.Link, end}, adapters
}

// pair is two servers that know each other; the second has a socket.
func pair(t *testing.T, cfg Config) (m *miniredis.Miniredis, sender *server, a cluster.Adapter, l *linktest.Local) {
	t.Helper()
	m = miniredis.RunT(t)
	sender, adapters := start(t, linktest.URL(m), cfg, linktest.NewLocal("/"))
	l = linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
	receiver, _ := start(t, linktest.URL(m), Config{}, l)
	linktest.Meet(t, sender, receiver)
	return m, sender, adapters[0], l
}

// unconnected is a form whose Redis isn't there.
func unconnected(t *testing.T) *simple {
	t.Helper()
	f := newSimple(t, Config{Conn: linktest.Connect(t, "redis://127.0.0.1:1")})
	t.Cleanup(func() { _ = f.Conn.Close() })
	return f
}
