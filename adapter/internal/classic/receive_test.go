package classic

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// deaf is a form that is told messages directly. Its metrics are in reg.
func deaf(t testing.TB, reg prometheus.Registerer) (*Form, *namespace, *linktest.Mute) {
	t.Helper()
	r, err := New(link.Config{Conn: linktest.Connect(t, "redis://127.0.0.1:1"), Metrics: reg, BufferMessages: 1}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Conn.Close() })
	m := linktest.NewMute("one", "thousand", packet.NumberRoom(42))
	a, err := r.Open(m)
	if err != nil {
		t.Fatal(err)
	}
	return r, a.(*namespace), m
}

// said is a broadcast as it arrives.
type said struct {
	name, channel string
	payload       []byte
}

func sayings(t testing.TB, own string) []said {
	t.Helper()
	make := func(uid, namespace string, rooms ...string) []byte {
		p := packet.Payload{JSON: []byte(`["chat message",{"from":"somebody","text":"hello, is anybody here?","at":1700000000123,"tags":["a","b"]}]`)}
		b, err := wire.AppendBroadcast(nil, uid, namespace, p, wire.Options{Rooms: rooms})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return []said{
		{"own echo", "socket.io#/#", make(own, "/")},
		{"empty room", "socket.io#/#nobody#", make("foreig", "/", "nobody")},
		{"empty room with a number", "socket.io#/#43#", make("foreig", "/", packet.NumberRoom(43))},
		{"empty rooms", "socket.io#/#", make("foreig", "/", "nobody", "nowhere", packet.NumberRoom(43))},
		{"foreign namespace", "socket.io#/#", make("foreig", "/chat")},
		{"closed namespace", "socket.io#/chat#", make("foreig", "/chat")},
		{"own request", "socket.io-request#/#", []byte(`{"uid":"` + own + `","type":2,"opts":{"rooms":[],"except":[]},"rooms":["j1"]}`)},
		{"answer to another", "socket.io-response#/#", []byte(`{"requestId":"i5vD4c","sockets":[]}`)},
	}
}

func TestSkippingDoesNotAllocate(t *testing.T) {
	reg := prometheus.NewRegistry()
	skipped := func() float64 { return linktest.Count(t, reg, "sidereal_adapter_messages_total", "skipped") }
	r, n, m := deaf(t, reg)
	for _, s := range sayings(t, n.UID) {
		before := skipped()
		if allocs := testing.AllocsPerRun(100, func() { skip(t, r, s.channel, s.payload) }); allocs != 0 {
			t.Errorf("%s: %v allocations", s.name, allocs)
		}
		if skipped() != before+101 || m.Delivered > 0 {
			t.Errorf("%s: not skipped", s.name)
		}
	}
}

func skip(t testing.TB, r *Form, channel string, payload []byte) {
	if _, err := r.Receive(channel, payload); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkSkip(b *testing.B) {
	r, n, _ := deaf(b, nil)
	for _, s := range sayings(b, n.UID) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				skip(b, r, s.channel, s.payload)
			}
		})
	}
}

func BenchmarkDeliver(b *testing.B) {
	r, _, _ := deaf(b, nil)
	for _, room := range []string{"one", "thousand"} {
		b.Run(room, func(b *testing.B) {
			payload := packet.Payload{JSON: []byte(`["chat message",{"from":"somebody","text":"hello, is anybody here?","at":1700000000123,"tags":["a","b"]}]`)}
			msg, err := wire.AppendBroadcast(nil, "foreig", "/", payload, wire.Options{Rooms: []string{room}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				skip(b, r, "socket.io#/#"+room+"#", msg)
			}
		})
	}
}

// BenchmarkPublish is what the caller of an emit pays; the buffer has room for one message.
func BenchmarkPublish(b *testing.B) {
	_, n, _ := deaf(b, nil)
	m := &cluster.Broadcast{Target: cluster.Target{Rooms: []string{"room"}}, Data: packet.Payload{
		JSON: []byte(`["chat message",{"from":"somebody","text":"hello, is anybody here?","at":1700000000123,"tags":["a","b"]}]`)}}
	b.ReportAllocs()
	for b.Loop() {
		if err := n.Broadcast(m); err != nil {
			b.Fatal(err)
		}
	}
}
