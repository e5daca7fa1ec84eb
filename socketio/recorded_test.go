package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/flight"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// recorded runs a server and returns what it records.
func recorded(t *testing.T, cfg socketio.Config, setup func(io *socketio.Server)) (h *peer.Host, ends func() []*flight.End) {
	io, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if setup != nil {
		setup(io)
	}
	var mu sync.Mutex
	var list []*flight.End
	recorder := &flight.Recorder{Ended: func(e *flight.End) {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, e)
	}}
	h = peer.StartIn(flight.With(t.Context(), recorder), t, io)
	synctest.Wait()
	return h, func() []*flight.End {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}
}

// TestEndsAreRecorded ends sessions and sockets in every way, and wants one record with who did it.
func TestEndsAreRecorded(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  socketio.Config
		do   func(t *testing.T, h *peer.Host, p *peer.Peer)
		want string // reason, by, detail, limit, handler
	}{
		{"cut", socketio.Config{}, func(_ *testing.T, _ *peer.Host, p *peer.Peer) { p.Cut() }, "transport close, network"},
		{"client leaves", socketio.Config{}, func(_ *testing.T, _ *peer.Host, p *peer.Peer) { p.Send("1"); p.Cut() }, "client namespace disconnect, client"},
		{"no pong", socketio.Config{PingInterval: time.Second, PingTimeout: time.Second}, func(_ *testing.T, _ *peer.Host, p *peer.Peer) {
			p.Mute()
			time.Sleep(3 * time.Second)
		}, "ping timeout, network"},
		{"app", socketio.Config{}, func(_ *testing.T, _ *peer.Host, p *peer.Peer) { p.Send(`2["bye",false]`) }, "server namespace disconnect, app, handler bye"},
		{"app closes", socketio.Config{}, func(_ *testing.T, _ *peer.Host, p *peer.Peer) { p.Send(`2["bye",true]`) }, "server namespace disconnect, app, handler bye"},
		{"session", socketio.Config{}, func(_ *testing.T, h *peer.Host, _ *peer.Peer) {
			for s := range h.IO.Engine().Sessions() {
				s.Close()
			}
		}, "forced close, app"},
		{"moved", socketio.Config{}, func(t *testing.T, h *peer.Host, _ *peer.Peer) {
			if n, err := h.IO.Engine().Move(t.Context(), engineio.Move{Most: 1}); n != 1 || err != nil {
				t.Errorf("moved %d, %v", n, err)
			}
		}, "forced close, server, engineio: session moved to another server"},
		{"drain", socketio.Config{}, func(t *testing.T, h *peer.Host, _ *peer.Peer) { _ = h.IO.Drain(t.Context(), 0) }, "server shutting down, server"},
		{"limit", socketio.Config{MaxRooms: 1}, func(_ *testing.T, _ *peer.Host, p *peer.Peer) { p.Send(`2["join"]`) },
			"forced close, server, socketio: 2 exceeds Config.MaxRooms (1), limit MaxRooms, handler join"},
		{"malformed", socketio.Config{}, func(_ *testing.T, _ *peer.Host, p *peer.Peer) { p.Send(`2{}`) }, "forced close, server, packet: wrong payload for its type"},
		{"blocked", socketio.Config{PingInterval: time.Second, PingTimeout: time.Second}, func(_ *testing.T, _ *peer.Host, p *peer.Peer) {
			p.Mute()
			p.Send(`2["sleep"]`)
			time.Sleep(4 * time.Second)
		}, "ping timeout, network, handler sleep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, ends := recorded(t, c.cfg, func(io *socketio.Server) {
					io.On("bye", func(s *socketio.Socket, closing bool) { s.Disconnect(closing) })
					io.On("join", func(s *socketio.Socket) { s.Join("a", "b") })
					io.On("sleep", func(s *socketio.Socket) { time.Sleep(time.Minute) })
				})
				defer h.Stop()
				p, id := h.Join("/")
				sid := ""
				for s := range h.IO.Engine().Sessions() {
					sid = s.ID()
				}
				c.do(t, h, p)
				list := ends()
				if len(list) != 1 {
					t.Fatalf("%d records", len(list))
				}
				e := list[0]
				got := []string{e.Reason, e.By}
				for _, more := range []struct{ name, value string }{{"", e.Detail}, {"limit ", e.Limit}, {"handler ", e.Handler}} {
					if more.value != "" {
						got = append(got, more.name+more.value)
					}
				}
				if got := strings.Join(got, ", "); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				if e.SID != sid || !slices.Equal(e.Sockets, []string{id}) || !slices.Equal(e.Namespaces, []string{"/"}) || e.Session.Transport != "websocket" {
					t.Errorf("record %+v of sid %s, socket %s", e, sid, id)
				}
			})
		})
	}
}

func TestRefusalsAreRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, ends := recorded(t, socketio.Config{}, func(io *socketio.Server) {
			io.Of("/members").Use(func(_ context.Context, _ *socketio.Socket) error { return &socketio.Error{Message: "not a member"} })
			io.Of("/broken").Use(func(_ context.Context, _ *socketio.Socket) error { return errors.New("secret") })
		})
		defer h.Stop()
		p, _ := h.Join("/")
		p.Send("0/members,", "0/broken,")
		p.Next()
		p.Next()
		got := map[string]string{}
		for _, e := range ends() {
			got[e.Namespaces[0]] = fmt.Sprint(e.Reason, " ", e.By, " ", e.Detail, " ", e.Alive)
		}
		if got["/members"] != "refused app not a member true" || got["/broken"] != "refused app secret true" || len(got) != 2 {
			t.Errorf("records %v", got)
		}
	})
}

// TestPartingIsBounded: a client that joins and leaves can't replace the records of others.
func TestPartingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, ends := recorded(t, socketio.Config{}, nil)
		defer h.Stop()
		p, _ := h.Join("/")
		for range 100 {
			p.Send("1")
			p.Connect("/", "")
		}
		if n := len(ends()); n != 8 {
			t.Errorf("%d records, want 8", n)
		}
	})
}

func TestRoomsOfThisServer(t *testing.T) {
	serve(t, socketio.Config{}, nil, func(t *testing.T, h *peer.Host) {
		h.Join("/")
		h.Join("/")
		n := 0
		for s := range h.IO.Sockets() {
			n++
			s.Join("all")
			for i := range 1500 {
				s.Join(fmt.Sprint("of ", n, " ", i))
			}
		}
		got := map[string]int{}
		for name, sockets := range h.IO.Rooms() {
			got[name] += sockets
			h.IO.SocketsLeave("nowhere") // the lock is free
		}
		if len(got) != 3001 || got["all"] != 2 || got["of 1 7"] != 1 {
			t.Errorf("%d rooms, %d in all", len(got), got["all"])
		}
		if stats := h.IO.Stats(); stats != (socketio.Stats{Sockets: 2, Rooms: 3001}) {
			t.Errorf("stats %+v", stats)
		}
		n = 0
		for range h.IO.To("of 1 7", "of 2 8").Except("of 2 9").Sockets() {
			n++
		}
		if n != 1 {
			t.Errorf("%d sockets selected", n)
		}
	})
}
