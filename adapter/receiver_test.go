package adapter

import (
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// mute is a namespace whose sockets are counted, not reached: what remains is the adapter's own work.
type mute struct {
	rooms     map[string]int
	delivered int
}

func (m *mute) Name() string             { return "/" }
func (m *mute) HasRoom(room []byte) bool { _, ok := m.rooms[string(room)]; return ok }
func (m *mute) Deliver(b *cluster.Broadcast) {
	for _, room := range b.Rooms {
		m.delivered += m.rooms[room]
	}
}
func (m *mute) DeliverWithAck(*cluster.Broadcast, time.Duration, func(packet.Payload)) int {
	return 0
}
func (m *mute) Fetch(cluster.Target) []cluster.SocketInfo            { return nil }
func (m *mute) ApplyJoin(cluster.Target, []string)                   {}
func (m *mute) ApplyLeave(cluster.Target, []string)                  {}
func (m *mute) ApplyDisconnect(cluster.Target, bool)                 {}
func (m *mute) ServerSideEvent(packet.Payload, func(packet.Payload)) {}
func (m *mute) Rooms() []string                                      { return nil }

// deaf is a Redis that is told messages directly.
func deaf(t testing.TB) (*Redis, *namespace, *mute) {
	t.Helper()
	r, err := NewRedis(Config{URL: "redis://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.conn.Close() })
	m := &mute{rooms: map[string]int{"one": 1, "thousand": 1000, packet.NumberRoom(42): 1}}
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
	r, n, m := deaf(t)
	for _, s := range sayings(t, n.uid) {
		before := counter(t, r.metrics.skipped)
		if allocs := testing.AllocsPerRun(100, func() { r.receive(s.channel, s.payload) }); allocs != 0 {
			t.Errorf("%s: %v allocations", s.name, allocs)
		}
		if counter(t, r.metrics.skipped) != before+101 || m.delivered > 0 {
			t.Errorf("%s: not skipped", s.name)
		}
	}
}

func BenchmarkSkip(b *testing.B) {
	r, n, _ := deaf(b)
	for _, s := range sayings(b, n.uid) {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.receive(s.channel, s.payload)
			}
		})
	}
}

func BenchmarkDeliver(b *testing.B) {
	r, _, _ := deaf(b)
	for _, room := range []string{"one", "thousand"} {
		b.Run(room, func(b *testing.B) {
			payload := packet.Payload{JSON: []byte(`["chat message",{"from":"somebody","text":"hello, is anybody here?","at":1700000000123,"tags":["a","b"]}]`)}
			msg, err := wire.AppendBroadcast(nil, "foreig", "/", payload, wire.Options{Rooms: []string{room}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				r.receive("socket.io#/#"+room+"#", msg)
			}
		})
	}
}

// BenchmarkPublish is what the caller of an emit pays; the buffer is emptied as Redis would.
func BenchmarkPublish(b *testing.B) {
	r, n, _ := deaf(b)
	r.publisher.paused = false
	m := &cluster.Broadcast{Target: cluster.Target{Rooms: []string{"room"}}, Data: packet.Payload{
		JSON: []byte(`["chat message",{"from":"somebody","text":"hello, is anybody here?","at":1700000000123,"tags":["a","b"]}]`)}}
	b.ReportAllocs()
	for b.Loop() {
		if err := n.Broadcast(m); err != nil {
			b.Fatal(err)
		}
		r.publisher.take()
		r.publisher.done(nil)
	}
}
