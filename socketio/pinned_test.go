package socketio_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// rebalanced moves as many sessions from a server as may be moved.
func rebalanced(t *testing.T, s *socketiotest.Server) int {
	t.Helper()
	n, err := s.Engine().Move(t.Context(), engineio.Move{Most: 100})
	if err != nil {
		t.Error(err)
	}
	return n
}

// A call pins its members as they join, for as long as they are in it.
func TestPinnedCall(t *testing.T) {
	app := func(_ context.Context, io *socketio.Server) error {
		io.On("call", func(s *socketio.Socket, call string) bool {
			s.Join(call, socketio.Pinned(call))
			return true
		})
		io.On("hang up", func(s *socketio.Socket, call string) bool {
			s.Leave(call, socketio.Pinned(call))
			return true
		})
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		server := socketiotest.Serve(t, socketio.Config{}, app)
		ada, bob, eve := server.Connect("/", nil), server.Connect("/", nil), server.Connect("/", nil)
		ada.Call("call", "7")
		bob.Call("call", "7")
		ada.Call("call", "8") // two calls at a time
		if n := rebalanced(t, server); n != 1 {
			t.Errorf("%d sessions are moved, want the one without a call", n)
		}
		eve.WantConnect()
		ada.Call("hang up", "7") // still in the other call
		bob.Call("hang up", "7")
		if n := rebalanced(t, server); n != 2 {
			t.Errorf("%d sessions are moved, want those without a call", n)
		}
		bob.WantConnect()
		eve.WantConnect()
		ada.Call("hang up", "8")
	})
}

// A match pins its players on all servers when it starts, and releases them when it ends.
func TestPinnedMatch(t *testing.T) {
	app := func(_ context.Context, io *socketio.Server) error {
		io.On("enter", func(s *socketio.Socket, match string) bool {
			s.Join(match)
			return true
		})
		io.On("start", func(match string) error { return io.To(match).SocketsJoin(socketio.Pinned(match)) })
		io.On("end", func(match string) error { return io.To(match).SocketsLeave(socketio.Pinned(match)) })
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		servers := socketiotest.ServeCluster(t, 2, socketio.Config{}, app)
		ada, bob := servers[0].Connect("/", nil), servers[1].Connect("/", nil)
		ada.Call("enter", "chess")
		bob.Call("enter", "chess")
		ada.Emit("start", "chess")
		synctest.Wait()
		if n := rebalanced(t, servers[0]) + rebalanced(t, servers[1]); n != 0 {
			t.Errorf("%d players are moved during the match", n)
		}
		bob.Emit("end", "chess")
		synctest.Wait()
		if n := rebalanced(t, servers[0]) + rebalanced(t, servers[1]); n != 2 {
			t.Errorf("%d players are moved after the match", n)
		}
		ada.WantConnect()
		bob.WantConnect()
	})
}

// A player who loses the connection comes back pinned, on whichever server.
func TestPinnedIsRecovered(t *testing.T) {
	app := func(_ context.Context, io *socketio.Server) error {
		io.OnConnect(func(s *socketio.Socket) {
			if !s.Recovered() {
				s.Join(socketio.Pinned("kiosk"))
			}
		})
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		cfg := socketio.Config{Recovery: &socketio.Recovery{MaxDisconnection: time.Minute}}
		server := socketiotest.Serve(t, cfg, app)
		kiosk := server.Connect("/", nil)
		kiosk.Cut()
		kiosk.WantRecovered()
		if n := rebalanced(t, server); n != 0 {
			t.Error("the kiosk is moved after its return")
		}
	})
}
