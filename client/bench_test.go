package client_test

import (
	"bytes"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/sidereal-io/sidereal/client"
	eio "github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// tcpServer is the least that a client can connect to over TCP: it answers events that ask for it
// with their own arguments, if echo is set, and else holds connections without a goroutine.
type tcpServer struct {
	net.Listener
	echo bool
	held sync.Map
}

func startTCP(t testing.TB, echo bool) *tcpServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &tcpServer{Listener: l, echo: echo}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		for conn := range s.held.Range {
			conn.(net.Conn).Close()
		}
		wg.Wait()
	})
	return s
}

func (s *tcpServer) config() client.Config {
	return client.Config{URL: "http://" + s.Addr().String(), Transports: []string{client.WebSocket}, NoReconnection: true}
}

func (s *tcpServer) serve(conn net.Conn) {
	s.held.Store(conn, true)
	if _, err := (ws.Upgrader{}).Upgrade(conn); err != nil {
		return
	}
	send := func(b []byte) { ws.WriteFrame(conn, ws.NewTextFrame(b)) }
	send([]byte(open("sid", "")))
	ws.ReadFrame(conn)
	send([]byte(`40{"sid":"a"}`))
	if !s.echo {
		return
	}
	defer conn.Close()
	b, frame := make([]byte, 0, 1<<20), make([]byte, 64<<10)
	for {
		n, err := conn.Read(frame)
		if err != nil {
			return
		}
		b = append(b, frame[:n]...)
		var out []byte
		for {
			h, size, ok := frameHeader(b)
			if !ok || len(b) < size+int(h.Length) {
				break
			}
			text := b[size : size+int(h.Length)]
			ws.Cipher(text, h.Mask, 0)
			if h, body, err := packet.Parse(text[1:]); err == nil && h.ID >= 0 {
				h.Type = packet.Ack
				answer := packet.Append([]byte{'0' + byte(eio.Message)}, h, []byte(`["a"]`))
				_ = body
				out = append(out, 0x81, byte(len(answer)))
				out = append(out, answer...)
			}
			b = b[size+int(h.Length):]
		}
		if conn.Write(out); len(b) == 0 {
			b = b[:0:0]
		}
	}
}

func frameHeader(b []byte) (ws.Header, int, bool) {
	r := bytes.NewReader(b)
	h, err := ws.ReadHeader(r)
	return h, len(b) - r.Len(), err == nil
}

// BenchmarkEmit is one event of 128 bytes, from the arguments to the kernel.
func BenchmarkEmit(b *testing.B) {
	s := newClient(b, startTCP(b, true).config()).Of("/")
	connect(b, s)
	text := string(bytes.Repeat([]byte("x"), 128))
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Emit("event", text); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEcho is an event and its acknowledgement, one at a time, against a server that does next
// to nothing.
func BenchmarkEcho(b *testing.B) {
	s := newClient(b, startTCP(b, true).config()).Of("/")
	connect(b, s)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.EmitWithAck(b.Context(), "echo", "a"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEchoOpen keeps 64 events under way.
func BenchmarkEchoOpen(b *testing.B) {
	s := newClient(b, startTCP(b, true).config()).Of("/")
	connect(b, s)
	room := make(chan struct{}, 64)
	answered := func(client.Args, error) { <-room }
	b.ReportAllocs()
	for b.Loop() {
		room <- struct{}{}
		if err := s.WithAck(answered).Emit("echo", "a"); err != nil {
			b.Fatal(err)
		}
	}
	for range cap(room) {
		room <- struct{}{}
	}
}

// BenchmarkParked tells the memory of an idle socket, the server's bare connection included: Go's
// heap and stacks, after a collection.
func BenchmarkParked(b *testing.B) {
	server := startTCP(b, false)
	const n = 1000
	for b.Loop() {
		before := inUse()
		clients := make([]*client.Client, n)
		for i := range clients {
			c, err := client.New(server.config())
			if err != nil {
				b.Fatal(err)
			}
			s := c.Of("/")
			s.On("said", func(client.Args) {})
			connect(b, s)
			clients[i] = c
		}
		b.ReportMetric(float64(inUse()-before)/n, "bytes/socket")
		for conn := range server.held.Range {
			conn.(net.Conn).Close()
			server.held.Delete(conn)
		}
		for _, c := range clients {
			c.Close()
		}
	}
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
