package sharded

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// shardChannels are the channels that somebody is subscribed to, without those of single servers.
func shardChannels(t testing.TB, c *redis.Client) (names []string) {
	t.Helper()
	all, err := c.PubSubShardChannels(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if own := strings.TrimPrefix(name, "socket.io#/#"); len(own) != 17 {
			names = append(names, own)
		}
	}
	slices.Sort(names)
	return names
}

func TestRoomsAreSubscribedToAsTheModeSays(t *testing.T) {
	const id, long = "0123456789abcdefghi_", "twentycharsroomname1"
	for _, c := range []struct {
		cfg  Config
		want []string // channels of a socket in rooms a, 42 and one with a long name
		to   map[string]string
	}{
		{Config{Mode: wire.Static}, []string{""}, map[string]string{"a": "", long: "", id: ""}},
		{Config{Mode: wire.Dynamic}, []string{"", "42#", "a#", long + "#"}, map[string]string{"a": "a#", long: "", id: "", packet.NumberRoom(42): "42#", "": "#"}},
		{Config{Mode: wire.DynamicPrivate}, []string{"", id + "#", "42#", "a#", long + "#"}, map[string]string{"a": "a#", long: long + "#", id: id + "#"}},
		{Config{RoomChannel: func(nsp, room string) bool { return nsp == "/" && room == "a" }}, []string{"", "a#"}, map[string]string{"a": "a#", "b": "", id: ""}},
	} {
		t.Run(string(c.cfg.Mode), func(t *testing.T) {
			server := testkit.StartRedis(t)
			client := redis.NewClient(&redis.Options{Addr: server.Addr()})
			defer client.Close()
			l := linktest.NewLocal("/", &linktest.Socket{ID: id, Name: "s", Rooms: []string{"a", packet.NumberRoom(42), long}})
			s, adapters, _ := start(t, server.URL(), c.cfg, l)
			slices.Sort(c.want)
			if got := shardChannels(t, client); !slices.Equal(got, c.want) {
				t.Errorf("subscribed to %q, want %q", got, c.want)
			}
			for room, want := range c.to {
				m, err := adapters[0].(*namespace).EncodeBroadcast(&cluster.Broadcast{Target: cluster.Target{Rooms: []string{room}}, Data: linktest.Text(`"ev"`)})
				if got := strings.TrimPrefix(m.Channel, "socket.io#/#"); got != want || err != nil {
					t.Errorf("room %q: spoken of on %q, want %q, %v", room, got, want, err)
				}
			}
			if err := adapters[0].Close(); err != nil {
				t.Fatal(err)
			}
			testkit.Until(t, "the server to hear its rooms", s.Sub.Settled)
			if got := shardChannels(t, client); len(got) > 0 {
				t.Errorf("still subscribed to %q", got)
			}
		})
	}
}

func TestRoomsLinger(t *testing.T) {
	server := testkit.StartRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	all := cluster.Target{}
	var rooms []string
	for i := range 500 {
		rooms = append(rooms, fmt.Sprint("room", i))
	}
	commands := func() string {
		info, err := client.Info(t.Context(), "commandstats").Result()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(info) {
			if rest, ok := strings.CutPrefix(line, "cmdstat_sunsubscribe:calls="); ok {
				n, _, _ := strings.Cut(rest, ",")
				return n
			}
		}
		return "0"
	}
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
	s, _, _ := start(t, server.URL(), Config{Linger: 200 * time.Millisecond}, l)
	l.Apply(cluster.Order{Kind: cluster.Join, Target: all, Rooms: rooms})
	testkit.Until(t, "the server to hear its rooms", s.Sub.Settled)
	if got := shardChannels(t, client); len(got) != 501 {
		t.Errorf("%d channels", len(got))
	}
	l.Apply(cluster.Order{Kind: cluster.Leave, Target: all, Rooms: rooms})
	l.Apply(cluster.Order{Kind: cluster.Join, Target: all, Rooms: rooms[:1]}) // comes back in time
	testkit.Until(t, "two channels of rooms", func() bool { return len(shardChannels(t, client)) == 2 })
	if n := commands(); n == "0" || len(n) > 1 {
		t.Errorf("500 rooms took %s commands to leave", n)
	}
	if got := shardChannels(t, client); !slices.Equal(got, []string{"", "room0#"}) {
		t.Errorf("left with %q", got)
	}
}

func TestMessagesThatHurtNodeCostThemselvesAlone(t *testing.T) {
	server := testkit.StartRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s", Rooms: []string{"r"}})
	reg := prometheus.NewRegistry()
	_, adapters, _ := startWith(t, link.Config{Conn: linktest.Connect(t, server.URL()), MaxMessageBytes: 1000, Metrics: reg}, Config{}, l)
	good, err := wire.AppendClusterBroadcast(nil, "0123456789abcdef", "/", linktest.Text(`"good"`), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	own := adapters[0].(*namespace).Own
	bad := map[string][]string{
		"socket.io#/#":   {"", "{", "null", "\xc0", "junk", `{"type":3}`, string(good[:len(good)-1]), strings.Replace(string(good), `"data":["good"]`, `"data":1`, 1), string(make([]byte, 1001))},
		"socket.io#/#r#": {"\xc1", `{"type":3,"uid":"x","nsp":"/"}`},
		own:              {"", `{"type":8,"data":{"requestId":"x"},"uid":"x","nsp":"/"}`},
	}
	for channel, messages := range bad {
		for _, b := range messages {
			if err := client.SPublish(t.Context(), channel, b).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.SPublish(t.Context(), "socket.io#/#", good).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range linktest.Wait(t, l, len(bad)) {
		if string(g.Payload.JSON) != `["good"]` {
			t.Errorf("%s", g.Payload.JSON)
		}
	}
	testkit.Until(t, "the malformed messages to be counted", func() bool { return linktest.Count(t, reg, "sidereal_adapter_dropped_total", "malformed") == 12 })
	testkit.Until(t, "the large message to be counted", func() bool { return linktest.Count(t, reg, "sidereal_adapter_dropped_total", "oversized") == 1 })
}

func TestTimeoutsHaveNodesWords(t *testing.T) {
	server := testkit.StartRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	mute := client.SSubscribe(t.Context(), "socket.io#/#") // counted as a server, and silent
	defer mute.Close()
	if _, err := mute.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, adapters, _ := startWith(t, link.Config{Conn: linktest.Connect(t, server.URL()), RequestsTimeout: 100 * time.Millisecond}, Config{}, linktest.NewLocal("/"))
	const want = "timeout reached: only 0 responses received out of 1"
	if _, err := linktest.Fetch(t.Context(), adapters[0], cluster.Target{}); err == nil || err.Error() != want {
		t.Error(err)
	}
	if _, err := linktest.AskServers(t.Context(), adapters[0], linktest.Text(`"ev"`)); err == nil || err.Error() != want {
		t.Error(err)
	}
}

func BenchmarkSkip(b *testing.B) {
	r, err := New(link.Config{Conn: linktest.Connect(b, "redis://127.0.0.1:1")}, Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = r.Conn.Close() })
	m := linktest.NewMute("one", "thousand")
	a, err := r.Open(m)
	if err != nil {
		b.Fatal(err)
	}
	p := packet.Payload{JSON: []byte(`["chat message",{"from":"somebody","text":"hello, is anybody here?","at":1700000000123,"tags":["a","b"]}]`)}
	for _, c := range []struct{ name, uid, room string }{
		{"own echo", a.(*namespace).UID, "one"}, {"empty room", "0123456789abcdef", "nobody"}, {"delivered to 1", "0123456789abcdef", "one"},
	} {
		for _, binary := range []bool{false, true} {
			p := p
			if binary {
				p.JSON = []byte(`["chat message",{"_placeholder":true,"num":0}]`)
				p.Attachments = [][]byte{make([]byte, 80)}
			}
			msg, err := wire.AppendClusterBroadcast(nil, c.uid, "/", p, wire.Options{Rooms: []string{c.room}})
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/binary=%v", c.name, binary), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := r.Receive("socket.io#/#", msg); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
