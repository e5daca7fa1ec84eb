package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

func TestMain(m *testing.M) {
	testkit.Main(m)
}

// dial is an emitter on the Redis at addr.
func dial(t testing.TB, addr string) *emitter.Emitter {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { c.Close() })
	e, err := emitter.New(emitter.Config{Redis: c})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// host is a server with two clients in rooms of their names, and one in the namespace /chat.
type host struct {
	one, two, chat *listener
	raised, binary chan string // server-side events, which have no order between them
}

// listener is a client that notes what it is told.
type listener struct {
	t    *testing.T
	name string
	told chan string
}

// serve runs a server with package adapter, and its clients.
func serve(t *testing.T, cluster *adapter.Adapter, name string) *host {
	t.Helper()
	io, err := socketio.New(socketio.Config{Adapter: cluster})
	if err != nil {
		t.Fatal(err)
	}
	h := &host{raised: make(chan string, 10), binary: make(chan string, 10)}
	io.OnConnect(func(s *socketio.Socket) {
		s.Join(s.Handshake().Query["who"])
	})
	io.OnServer("raise", func(args packet.Args) { h.raised <- args.String() })
	io.OnServer("binary", func(b []byte) { h.binary <- fmt.Sprint(b) })
	io.Of("/chat")

	server := testkit.Serve(t, io)
	if err := cluster.Wait(bounded(t)); err != nil {
		t.Fatal(err)
	}
	h.one = connect(t, server.URL+"?who=one", name+".one", "/")
	h.two = connect(t, server.URL+"?who=two", name+".two", "/")
	h.chat = connect(t, server.URL, name+".chat", "/chat")
	return h
}

func connect(t *testing.T, url, name, namespace string) *listener {
	t.Helper()
	c, err := client.New(client.Config{URL: url, Transports: []string{client.WebSocket}, NoReconnection: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	l := &listener{t: t, name: name, told: make(chan string, 100)}
	s := c.Of(namespace)
	s.OnAny(func(event string, args client.Args) {
		if event != "bytes" {
			l.told <- event + args.String()
			return
		}
		var b struct{ B []byte }
		if err := args.Decode(0, &b); err != nil {
			t.Error(err)
		}
		l.told <- fmt.Sprint(event, b.B)
	})
	s.OnDisconnect(func(reason string, _ error) { l.told <- reason })
	if err := s.Connect(bounded(t)); err != nil {
		t.Fatal(err)
	}
	return l
}

// want wants exactly these, in this order.
func (l *listener) want(all ...string) {
	l.t.Helper()
	for _, want := range all {
		if got := testkit.Receive(l.t, l.name+": "+want, l.told); got != want {
			l.t.Errorf("%s was told %s, want %s", l.name, got, want)
		}
	}
}

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// TestServersHearEveryOperation has two servers on one Redis and no word between them but the
// emitter's.
func TestServersHearEveryOperation(t *testing.T) {
	r := testkit.StartRedis(t)
	hosts := make([]*host, 2)
	for i := range hosts {
		cluster, err := adapter.New(adapter.Config{Redis: sidereal.Redis{URL: r.URL()}})
		if err != nil {
			t.Fatal(err)
		}
		hosts[i] = serve(t, cluster, fmt.Sprint(i))
	}
	heardByAll(t, dial(t, r.Addr()), hosts)
}

// TestShardedServersHearEveryOperation has a key whose hash tag keeps all channels in order, on a
// Redis Cluster.
func TestShardedServersHearEveryOperation(t *testing.T) {
	c := testkit.StartCluster(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Nodes[0].Addr()}, ContextTimeoutEnabled: true, MaxRetries: -1})
	defer client.Close()
	for _, mode := range []emitter.Mode{emitter.Static, emitter.Dynamic, emitter.DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			key := "{" + string(mode) + "}"
			hosts := make([]*host, 2)
			for i := range hosts {
				cluster, err := adapter.New(adapter.Config{Redis: sidereal.Redis{URL: c.URL()}, Key: key, Form: adapter.Sharded{Mode: adapter.Mode(mode)}})
				if err != nil {
					t.Fatal(err)
				}
				hosts[i] = serve(t, cluster, fmt.Sprint(i))
			}
			e, err := emitter.New(emitter.Config{Redis: client, Key: key, Form: emitter.Sharded{Mode: mode}})
			if err != nil {
				t.Fatal(err)
			}
			for _, room := range []string{"one", "two"} { // whose channels the servers subscribe to when somebody joins
				testkit.Until(t, "the rooms' channels", func() bool {
					return mode == emitter.Static || subscribed(t, c, key+"#/#"+room+"#") == 2
				})
			}
			heardByAll(t, e, hosts)
		})
	}
}

// subscribed counts the subscribers of a shard channel on all nodes.
func subscribed(t *testing.T, c *testkit.Cluster, channel string) (n int64) {
	t.Helper()
	for _, r := range c.Nodes {
		n += r.Do("PUBSUB", "SHARDNUMSUB", channel).([]any)[1].(int64)
	}
	return n
}

// heardByAll says everything that an emitter can, and wants the servers and their clients to hear
// it.
func heardByAll(t *testing.T, e *emitter.Emitter, hosts []*host) {
	t.Helper()
	ctx := bounded(t)
	number := packet.NumberRoom(42)
	for _, err := range []error{
		e.Emit(ctx, "everybody", 1, "é", nil),
		e.To("one").Emit(ctx, "room"),
		e.In("one", "two").Except("two").Emit(ctx, "rooms"),
		e.Except("one").Emit(ctx, "except"),
		e.Volatile().Compress(false).Emit(ctx, "flags"),
		e.Emit(ctx, "bytes", map[string]any{"B": []byte{0, 255}}),
		e.To("two").SocketsJoin(ctx, "new", number),
		e.To("new").Emit(ctx, "joined"),
		e.To(number).Emit(ctx, "number"),
		e.To("42").Emit(ctx, "no number"),
		e.To("new").SocketsLeave(ctx, "new"),
		e.To("new").Emit(ctx, "left"),
		e.Of("chat").Emit(ctx, "chat"),
		e.ServerSideEmit(ctx, "raise", "x", 1),
		e.ServerSideEmit(ctx, "binary", []byte{0, 255}),
		e.In("one").DisconnectSockets(ctx, false),
		e.In("two").DisconnectSockets(ctx, true),
		e.Emit(ctx, "nobody"),
		e.Of("/chat").Emit(ctx, "end"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range hosts {
		h.one.want(`everybody[1,"é",null]`, "room[]", "rooms[]", "flags[]", "bytes[0 255]", client.ReasonServerDisconnect)
		h.two.want(`everybody[1,"é",null]`, "except[]", "flags[]", "bytes[0 255]", "joined[]", "number[]", client.ReasonServerDisconnect)
		h.chat.want("chat[]", "end[]")
		if got := testkit.Receive(t, "the server-side event", h.raised); got != `["x",1]` {
			t.Errorf("a server heard %s", got)
		}
		if got := testkit.Receive(t, "the binary server-side event", h.binary); got != "[0 255]" {
			t.Errorf("a server heard %s", got)
		}
	}
}

// TestRedisAnswers holds that the caller is told what Redis said, and that ctx bounds the call.
func TestRedisAnswers(t *testing.T) {
	r := testkit.StartRedis(t)
	e := dial(t, r.Addr())
	calls := map[string]func(ctx context.Context) error{
		"Emit":              func(ctx context.Context) error { return e.To("r").Emit(ctx, "ev") },
		"SocketsJoin":       func(ctx context.Context) error { return e.SocketsJoin(ctx, "r") },
		"DisconnectSockets": func(ctx context.Context) error { return e.DisconnectSockets(ctx, true) },
		"ServerSideEmit":    func(ctx context.Context) error { return e.ServerSideEmit(ctx, "ev") },
	}
	for name, call := range calls {
		if err := call(bounded(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	r.Stop()
	for name, call := range calls {
		if err := call(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v", name, err)
		}
		short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		if err := call(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s on a frozen Redis: %v", name, err)
		}
		cancel()
	}
	r.Kill()
	for name, call := range calls {
		if err := call(bounded(t)); err == nil {
			t.Errorf("%s without Redis: no error", name)
		}
	}
	r.Restart()
	for name, call := range calls {
		if err := call(bounded(t)); err != nil {
			t.Errorf("%s once Redis is back: %v", name, err)
		}
	}
}

// TestRedisRefuses holds that a user without the right to publish learns so.
func TestRedisRefuses(t *testing.T) {
	r := testkit.StartRedis(t, "--user", "default", "on", "nopass", "~*", "resetchannels", "+@all")
	e := dial(t, r.Addr())
	var refusal redis.Error
	if err := e.Emit(bounded(t), "ev"); !errors.As(err, &refusal) {
		t.Errorf("%v, want Redis's refusal", err)
	}
}

// TestManyAtOnce has one emitter be used by many goroutines.
func TestManyAtOnce(t *testing.T) {
	m := testkit.MiniRedis(t)
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { c.Close() })
	heard := c.PSubscribe(t.Context(), "*")
	t.Cleanup(func() { heard.Close() })
	if _, err := heard.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	room := dial(t, m.Addr()).To("r")
	const senders = 8
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			if err := room.To(fmt.Sprint(i)).Emit(bounded(t), "ev", i); err != nil {
				t.Error(err)
			}
		})
	}
	sending.Wait()
	var seen []string
	for range senders {
		msg, err := heard.ReceiveMessage(bounded(t))
		if err != nil {
			t.Fatal(err)
		}
		if msg.Channel != "socket.io#/#" {
			t.Errorf("on %s", msg.Channel)
		}
		seen = append(seen, msg.Payload)
	}
	slices.Sort(seen)
	if n := len(slices.Compact(seen)); n != senders {
		t.Errorf("%d different messages, want %d", n, senders)
	}
}
