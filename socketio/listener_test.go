package socketio_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// TestStoppedListeners wants OnAny, OnAnyOutgoing and OnRoom to end with stop, for the function that
// was given and no other.
func TestStoppedListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		var stops []func()
		srv := socketiotest.Serve(t, socketio.Config{}, func(_ context.Context, io *socketio.Server) error {
			io.On("join", func(s *socketio.Socket, room string) error {
				s.Join(room)
				return s.Emit("joined")
			})
			for _, who := range []string{"first", "second"} {
				stops = append(stops,
					io.OnAny(func(*socketio.Socket, string, socketio.Args) { heard = append(heard, who+" in") }),
					io.OnAnyOutgoing(func(*socketio.Socket, string, socketio.Args) { heard = append(heard, who+" out") }),
					io.OnRoom(func(e socketio.RoomEvent) {
						if e.Change == socketio.RoomJoined && e.Room != e.ID {
							heard = append(heard, who+" "+e.Room)
						}
					}))
			}
			return nil
		})
		c := srv.Connect("/", nil)
		want := func(room string, list ...string) {
			t.Helper()
			heard = nil
			c.Call("join", room)
			if synctest.Wait(); !slices.Equal(heard, list) {
				t.Errorf("heard %q, want %q", heard, list)
			}
		}
		want("a", "first in", "second in", "first a", "second a", "first out", "second out")
		for _, stop := range stops[:3] {
			stop()
			stop() // does nothing
		}
		want("b", "second in", "second b", "second out")
		for _, stop := range stops[3:] {
			stop()
		}
		want("c")
	})
}

// TestOnUpgrade wants each connected socket of a session to hear of its upgrade, once.
func TestOnUpgrade(t *testing.T) {
	connected, upgraded := make(chan struct{}), make(chan string, 10)
	cfg := socketio.Config{Headers: func(_ http.Header, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			<-connected // an upgrade before that is told to nobody
		}
	}}
	srv := socketiotest.Serve(t, cfg, func(_ context.Context, io *socketio.Server) error {
		io.OnConnect(func(*socketio.Socket) { close(connected) })
		io.OnUpgrade(func(s *socketio.Socket) { upgraded <- s.ID() + " " + s.Transport() })
		io.Of("/begun").OnUpgrade(func(s *socketio.Socket) { t.Error("a session that began on WebSocket was upgraded") })
		return nil
	})
	c := srv.ConnectWith(client.Config{Transports: []string{"polling", "websocket"}}, "/")
	if got := testkit.Receive(t, "the upgrade", upgraded); got != c.ID()+" websocket" {
		t.Errorf("upgraded %s, want %s by websocket", got, c.ID())
	}
	srv.Connect("/begun", nil)
}
