package socketio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// packets is a polling body of the same packets again and again.
func packets(n int, texts ...string) string { return strings.Join(slices.Repeat(texts, n), "\x1e") }

// joined opens a polling session in the main namespace.
func joined(t *testing.T, h *peer.Host) (sid string) {
	t.Helper()
	sid = openPolling(t, h)
	post(t, h, sid, "40")
	poll(t, h, sid)
	return sid
}

// A connection's namespaces share its limit of bytes that wait.
func TestPendingBytesOfAllNamespacesCount(t *testing.T) {
	serve(t, socketio.Config{MaxPendingBytes: 10_000}, func(io *socketio.Server) {
		for _, name := range []string{"/a", "/b", "/c"} {
			io.Of(name).On("block", func(ctx context.Context) { <-ctx.Done() })
		}
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/a")
		p.Connect("/b", "")
		p.Connect("/c", "")
		for _, name := range []string{"/a", "/b", "/c"} {
			p.Send("2" + name + `,["block"]`)
			synctest.Wait()
			p.WantNothing()
			p.Send("2" + name + `,["more","` + strings.Repeat("x", 4000) + `"]`)
		}
		p.Want("closed")
	})
}

// Bytes that were handled, dropped or given up no longer count.
func TestPendingBytesAreGivenBack(t *testing.T) {
	text := strings.Repeat("x", 4000)
	serve(t, socketio.Config{MaxPendingBytes: 10_000}, func(io *socketio.Server) {
		echo(io)
		io.Of("/a").On("block", func(ctx context.Context) { <-ctx.Done() })
		io.Of("/refused").Use(func(context.Context, *socketio.Socket) error { return socketio.NewError("no") })
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		for range 5 {
			p.Send(`21["echo","` + text + `"]`)
			p.Want(`31["` + text + `"]`)
			p.Send(`51-2["echo",{"_placeholder":true,"num":0}]`)
			p.SendBinary(text)
			p.Next()
			p.Next()
			p.Connect("/a", `{"token":"`+text+`"}`)
			p.Send(`2/a,["block"]`)
			synctest.Wait()
			p.Send(`2/a,["more","` + text + `"]`)
			p.SendTogether(`2/a,["late"]`, "1/a,")
			synctest.Wait()
			p.Send(`0/refused,{"token":"` + text + `"}`)
			p.Want(`4/refused,{"message":"no"}`)
		}
		p.WantNothing()
	})
}

// A socket's auth is held as long as the socket, and counts.
func TestAuthCounts(t *testing.T) {
	serve(t, socketio.Config{MaxPendingBytes: 10_000}, func(io *socketio.Server) {
		io.Of("/a")
		io.Of("/b")
	}, func(t *testing.T, h *peer.Host) {
		auth := `{"token":"` + strings.Repeat("x", 6000) + `"}`
		p := h.Dial("")
		p.Connect("/a", auth)
		p.Send("0/b," + auth)
		p.Want("closed")
	})
}

// A client that joins and leaves while middlewares and handlers take their time starts no more
// goroutines than a few for each namespace that it may have.
func TestJoiningAndLeavingIsBounded(t *testing.T) {
	for name, packets := range map[string][]string{
		"in the middleware":           {"0/slow,", "1/slow,"},
		"in a handler":                {"0/a,", `2/a,["block"]`, "1/a,"},
		"in the handler of the leave": {"0/bye,", "1/bye,"},
	} {
		t.Run(name, func(t *testing.T) {
			var running, most atomic.Int32
			var block chan struct{}
			wait := func() {
				if n := running.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-block
				running.Add(-1)
			}
			serve(t, socketio.Config{MaxNamespaces: 5}, func(io *socketio.Server) {
				block = make(chan struct{}) // the bubble's
				io.Of("/slow").Use(func(context.Context, *socketio.Socket) error { wait(); return nil })
				io.Of("/a").On("block", func() { wait() })
				io.Of("/bye").OnDisconnect(func(*socketio.Socket, string) { wait() })
			}, func(t *testing.T, h *peer.Host) {
				p, _ := h.Join("/")
				for range 100 {
					for _, text := range packets {
						p.Send(text)
						synctest.Wait()
					}
				}
				if n := most.Load(); n == 0 || n > 20 {
					t.Errorf("%d goroutines", n)
				}
				close(block)
				synctest.Wait()
				p.Cut()
			})
		})
	}
}

// Packets that wait for attachments are bounded for all connections together; those that have
// waited longest give way.
func TestPartialBytesOfAllConnections(t *testing.T) {
	serve(t, socketio.Config{MaxPartialBytes: 10_000}, echo, func(t *testing.T, h *peer.Host) {
		var peers []*peer.Peer
		for range 4 {
			p, _ := h.Join("/")
			peers = append(peers, p)
			p.Send(`52-1["echo",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
			p.SendBinary(strings.Repeat("x", 4000))
			time.Sleep(time.Second)
		}
		peers[0].Want("closed")
		peers[1].Want("closed")
		for _, p := range peers[2:] {
			p.SendBinary("y")
			p.Next()
			p.Next()
			if got := p.Next(); got != "b:y" {
				t.Errorf("got %.20q", got)
			}
		}
	})
}

// A compressed attachment counts as it is in memory, not as it came: a client that sends a
// thousandth of that is closed once its packet has waited longest.
func TestPartialBytesOfCompressedAttachments(t *testing.T) {
	const length, sent = 90_000, 5
	cfg := socketio.Config{PerMessageDeflate: new(engineio.PerMessageDeflate), MaxHTTPBufferSize: 2 * length, MaxPartialBytes: 2*sent*length - 1}
	serve(t, cfg, echo, func(t *testing.T, h *peer.Host) {
		zeros, err := wsflate.CompressFrame(ws.NewBinaryFrame(make([]byte, length)))
		if err != nil {
			t.Fatal(err)
		}
		if len(zeros.Payload) > length/500 {
			t.Fatalf("%d bytes of zeros came to %d", length, len(zeros.Payload))
		}
		dial := func() (ended chan struct{}) {
			d := ws.Dialer{NetDial: h.DialContext, Extensions: []httphead.Option{wsflate.DefaultParameters.Option()}}
			conn, early, how, err := d.Dial(t.Context(), "ws://peer/socket.io/?EIO=4&transport=websocket")
			if err != nil || len(how.Extensions) != 1 {
				t.Fatalf("%v, extensions %q", err, how.Extensions)
			}
			t.Cleanup(func() { conn.Close() })
			var r io.Reader = conn
			if early != nil {
				r = io.MultiReader(early, conn)
			}
			ended = make(chan struct{})
			go func() {
				defer close(ended)
				for {
					if f, err := ws.ReadFrame(r); err != nil || f.Header.OpCode == ws.OpClose {
						return
					}
				}
			}()
			frames := []ws.Frame{ws.NewTextFrame([]byte("40")), ws.NewTextFrame([]byte(`459-["echo",{"_placeholder":true,"num":0}]`))}
			for range sent {
				frames = append(frames, ws.NewFrame(zeros.Header.OpCode, true, bytes.Clone(zeros.Payload)))
				frames[len(frames)-1].Header.Rsv = zeros.Header.Rsv
			}
			for _, f := range frames {
				if err := ws.WriteFrame(conn, ws.MaskFrameInPlace(f)); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Second)
			return ended
		}
		first := dial()
		if n := h.IO.Engine().Len(); n != 1 {
			t.Errorf("%d sessions, want the first", n)
		}
		second := dial()
		select {
		case <-first:
		default:
			t.Error("the first is still open")
		}
		select {
		case <-second:
			t.Error("the second was closed")
		default:
		}
	})
}

// logged is a log in memory.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// However many events make a handler fail or panic, or a middleware, the log grows by a few lines.
func TestLinesThatClientsCauseAreBounded(t *testing.T) {
	const n = 2000
	for name, c := range map[string]struct{ body, line, left string }{
		"failures":    {packets(n, `42["fail"]`), "handler failed", `"left_out":`},
		"panics":      {packets(n, `42["panic"]`), "handler panicked", `"left_out":`},
		"middlewares": {packets(n, `40/refusing,`, `41/refusing,`), "middleware failed", ""},
		// the connection is being closed, and the handlers' answers find it so
		"farewells": {packets(n, `42["emit"]`) + "\x1e42{}", "handler failed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log logged
			cfg := socketio.Config{MaxNamespaces: n, Log: slog.New(loghandler.New(&log, slog.LevelInfo))}
			serve(t, cfg, func(io *socketio.Server) {
				io.On("fail", func() error { return errors.New("broken") })
				io.On("panic", func() { panic("broken") })
				io.On("emit", func(s *socketio.Socket) error { return s.Emit("x") })
				io.Of("/refusing").Use(func(context.Context, *socketio.Socket) error { return errors.New("broken") })
			}, func(t *testing.T, h *peer.Host) {
				sid := joined(t, h)
				post(t, h, sid, c.body)
				synctest.Wait()
				if lines := strings.Count(log.String(), c.line); lines > 20 {
					t.Errorf("%d lines in the log, %d bytes for %d", lines, len(log.String()), len(c.body))
				}
				if c.left == "" {
					return
				}
				time.Sleep(10 * time.Second)
				post(t, h, sid, c.body[:strings.IndexByte(c.body, '\x1e')])
				synctest.Wait()
				if !strings.Contains(log.String(), fmt.Sprintf(`%s%d`, c.left, n-20)) {
					t.Errorf("the log doesn't say how many lines it lacks: %.500s", log.String()[max(0, len(log.String())-500):])
				}
			})
		})
	}
}
