package socketio

import (
	"context"
	"runtime"
	"testing"

	compiler "github.com/sidereal-io/sidereal/internal/handler"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

type said struct {
	Room string `json:"room"`
	Text string `json:"text"`
}

// BenchmarkHandler compares what a call costs through reflection, through a path without it, and
// through what a generic registration function would make: docs/adr/0005-go-api.md.
func BenchmarkHandler(b *testing.B) {
	_, args, err := packet.ParseEvent([]byte(`["say",{"room":"lobby","text":"hello, world"}]`), 0)
	if err != nil {
		b.Fatal(err)
	}
	generic := func(f func(context.Context, *Socket, said) error) compiler.Func[*Socket, Ack] {
		return func(c *compiler.Call[*Socket, Ack]) error {
			var v said
			if err := c.Args.Decode(0, &v); err != nil {
				return err
			}
			return f(c.Sender.Context(), c.Socket, v)
		}
	}
	connected := &Socket{extra: &extra{ctx: context.Background()}}
	for _, h := range []struct {
		name string
		call compiler.Func[*Socket, Ack]
	}{
		{"reflection", newHandler("On", "say", func(context.Context, *Socket, said) error { return nil }, true).call},
		{"generic", generic(func(context.Context, *Socket, said) error { return nil })},
		{"args", newHandler("On", "say", func(*Socket, Args) error { return nil }, true).call},
	} {
		b.Run(h.name, func(b *testing.B) {
			var c call
			c.begin(connected, nil, args)
			b.ReportAllocs()
			for b.Loop() {
				if err := h.call(&c.Call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRegistrationPerSocket is the memory that ten handlers cost each socket when every one
// gets its own, as on Node.
func BenchmarkRegistrationPerSocket(b *testing.B) {
	const n = 1000
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	sockets := make([]Socket, n)
	before := heap()
	for i := range sockets {
		s := &sockets[i]
		for _, event := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
			s.On(event, func(m said) error { return s.Context().Err() })
		}
	}
	b.ReportMetric(float64(heap()-before)/n, "B/socket")
	b.ReportMetric(0, "ns/op")
	runtime.KeepAlive(sockets)
}
