package adapter

import (
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// BenchmarkStreamsEmit takes an event from Emit to the clients of the same server, with recovery: through XADD and XREAD.
func BenchmarkStreamsEmit(b *testing.B) {
	r, err := NewStreams(StreamsConfig{Config: Config{URL: testkit.StartRedis(b).URL()}})
	if err != nil {
		b.Fatal(err)
	}
	l := newFakeLocal("/", &fakeSocket{id: "s", name: "s"})
	s, adapters := startRedis(b, r, l)
	testkit.Until(b, "the server to find Redis", s.Up)
	rec := adapters[0].(streamNamespace).Recover(time.Minute, 0)
	event := &cluster.Broadcast{Data: text(`"said"`, `{"from":"somebody","text":"hello, is anybody here?"}`)}
	for b.Loop() {
		if err := rec.Emit(event); err != nil {
			b.Fatal(err)
		}
		<-l.arrived
	}
	b.StopTimer()
	l.take()
}
