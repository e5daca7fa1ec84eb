package socketio_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"

	"github.com/sidereal-io/sidereal/socketio"
)

// rig is a server on TCP with raw clients that only count what they get.
type rig struct {
	io      *socketio.Server
	conns   []net.Conn
	packets atomic.Int64
	got     chan struct{} // after each packet, if somebody listens
}

func newRig(tb testing.TB, clients int, setup func(io *socketio.Server)) *rig {
	tb.Helper()
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	setup(io)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{io: io, got: make(chan struct{}, 1)}
	server := &http.Server{Handler: io}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { server.Serve(ln) })
	running.Go(func() { io.Run(ctx) })
	tb.Cleanup(func() {
		for _, c := range r.conns {
			c.Close()
		}
		cancel()
		server.Close()
		running.Wait()
	})
	for range clients {
		conn, early, _, err := ws.Dial(ctx, "ws://"+ln.Addr().String()+"/socket.io/?EIO=4&transport=websocket")
		if err != nil {
			tb.Fatal(err)
		}
		in := bufio.NewReaderSize(conn, 512)
		if early != nil {
			in = early
		}
		r.conns = append(r.conns, conn)
		running.Go(func() { r.count(in) })
		r.write(conn, "40")
	}
	for r.packets.Load() < int64(2*clients) { // open and CONNECT
		<-r.got
	}
	r.packets.Store(0)
	return r
}

func (r *rig) count(in *bufio.Reader) {
	for {
		h, err := ws.ReadHeader(in)
		if err != nil {
			return
		}
		if _, err := in.Discard(int(h.Length)); err != nil {
			return
		}
		r.packets.Add(1)
		select {
		case r.got <- struct{}{}:
		default:
		}
	}
}

func (r *rig) write(conn net.Conn, text string) {
	ws.WriteFrame(conn, ws.MaskFrameInPlace(ws.NewTextFrame([]byte(text))))
}

func (r *rig) await(n int64) {
	for r.packets.Load() < n {
		<-r.got
	}
}

// One event with an answer, there and back, one at a time.
func BenchmarkEchoWithAck(b *testing.B) {
	for name, handler := range map[string]any{
		"args": func(_ context.Context, _ *socketio.Socket, args socketio.Args) (socketio.Args, error) {
			return args, nil
		},
		"typed": func(s string, m struct {
			N int `json:"n"`
		}) (string, int) {
			return s, m.N
		},
	} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, 1, func(io *socketio.Server) { io.On("echo", handler) })
			b.ReportAllocs()
			n := int64(0)
			for b.Loop() {
				r.write(r.conns[0], `421["echo","hello, world",{"n":42}]`)
				n++
				r.await(n)
			}
		})
	}
}

// Bursts of events of one socket: what a read brings is answered in one write.
func BenchmarkEchoBurst(b *testing.B) {
	r := newRig(b, 1, func(io *socketio.Server) {
		io.On("echo", func(_ context.Context, _ *socketio.Socket, args socketio.Args) (socketio.Args, error) {
			return args, nil
		})
	})
	var burst []byte
	for range 100 {
		burst = append(burst, ws.MustCompileFrame(ws.MaskFrameInPlace(ws.NewTextFrame([]byte(`421["echo","hello, world"]`))))...)
	}
	b.ReportAllocs()
	n := int64(0)
	for b.Loop() {
		r.conns[0].Write(burst)
		n += 100
		r.await(n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
}

func BenchmarkFanOut(b *testing.B) {
	for _, clients := range []int{100, 1000} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			r := newRig(b, clients, func(io *socketio.Server) {
				io.OnConnect(func(s *socketio.Socket) { s.Join("room") })
			})
			b.ReportAllocs()
			n := int64(0)
			for b.Loop() {
				if err := r.io.To("room").Emit("said", "hello, world", 42); err != nil {
					b.Fatal(err)
				}
				n += int64(clients)
				r.await(n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/delivery")
		})
	}
}

// BenchmarkIdleSocket reports the bytes of an idle socket beyond its session.
func BenchmarkIdleSocket(b *testing.B) {
	const n = 2000
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	r := newRig(b, n, func(io *socketio.Server) {
		io.Of("/second")
		io.Of("/third").OnConnect(func(s *socketio.Socket) { s.Join("room") })
	})
	measure := func(packet string) float64 {
		before := heap()
		r.packets.Store(0)
		for _, c := range r.conns {
			r.write(c, packet)
		}
		r.await(n)
		return float64(heap()-before) / n
	}
	b.ReportMetric(measure("40/second,"), "B/socket")
	b.ReportMetric(measure("40/third,"), "B/socket-with-room")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkKey(b *testing.B) {
	type user struct {
		ID    int64
		Name  string
		Roles []string
	}
	name, who := socketio.NewKey[string]("name"), socketio.NewKey[user]("user")
	sockets := make(chan *socketio.Socket, 1)
	newRig(b, 1, func(io *socketio.Server) {
		io.Share(name, who)
		io.OnConnect(func(s *socketio.Socket) { sockets <- s })
	})
	s := <-sockets
	ada := user{1815, "Ada", []string{"admin", "poet"}}
	run := func(what string, f func() error) {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("Set string", func() error { return name.Set(s, "Ada") })
	run("Get string", func() error { _, err := name.Get(s); return err })
	run("Set struct", func() error { return who.Set(s, ada) })
	run("Get struct", func() error { _, err := who.Get(s); return err })
}
