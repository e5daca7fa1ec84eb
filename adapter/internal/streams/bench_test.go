package streams

import (
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// BenchmarkEmit takes an event from Emit to the clients of the same server, with recovery: through
// XADD and XREAD.
func BenchmarkEmit(b *testing.B) {
	l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
	f, adapters := start(b, testkit.StartRedis(b).URL(), Config{}, l)
	testkit.Until(b, "the server to find Redis", f.Up)
	rec := adapters[0].(*namespace).Recover(time.Minute, 0, func(cluster.Snapshot) {})
	event := &cluster.Broadcast{Data: linktest.Text(`"said"`, `{"from":"somebody","text":"hello, is anybody here?"}`)}
	for b.Loop() {
		if err := rec.Emit(event); err != nil {
			b.Fatal(err)
		}
		<-l.Arrived
	}
	b.StopTimer()
	l.Take()
}
