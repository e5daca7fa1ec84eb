package engineio

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// beats answers pings that a session has not been sent, which counts as heartbeats.
func (f *fixture) beats(sid string, n int) {
	f.t.Helper()
	for range n {
		f.post(sid, "3").want(f.t, 200, "ok")
	}
}

// move is Server.Move, beginning now.
func (f *fixture) move(m Move) (moved func() int) {
	result := make(chan int, 1)
	go func() {
		n, err := f.srv.Move(f.t.Context(), m)
		if err != nil {
			f.t.Error(err)
		}
		result <- n
	}()
	return func() int { return <-result }
}

func TestMoveTakesTheLongestIdleAtItsPace(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		type member struct {
			sid  string
			r    *recorder
			poll <-chan *answer
		}
		all := map[string]*member{}
		for name, idle := range map[string]int{"fresh": 0, "idle": 2, "idlest": 3, "spoke": 5} {
			m := &member{sid: f.open(), r: f.session()}
			f.beats(m.sid, idle)
			if name == "spoke" {
				f.post(m.sid, "4hello").want(t, 200, "ok")
				f.beats(m.sid, 1)
			}
			m.poll = f.polling(m.sid)
			all[name] = m
		}
		moved := f.move(Move{Most: 3, PerSecond: 10})
		for _, name := range []string{"idlest", "idle", "spoke"} {
			synctest.Wait()
			select {
			case a := <-all[name].poll:
				a.want(t, 200, "1")
			default:
				t.Fatalf("%s is not moved in its turn", name)
			}
			all[name].r.wantClosed(t, ForcedClose)
			time.Sleep(101 * time.Millisecond)
		}
		if n := moved(); n != 3 || f.srv.Len() != 1 {
			t.Errorf("moved %d, %d left", n, f.srv.Len())
		}
		// The server goes on. Posts that were under way are answered for a while.
		f.post(all["idle"].sid, "4late").want(t, 200, "ok")
		time.Sleep(okAfterDrain)
		f.post(all["idle"].sid, "4late").want(t, 400, `{"code":1,"message":"Session ID unknown"}`)
		f.open()
		f.post(all["fresh"].sid, "4hello").want(t, 200, "ok")
	})
}

// Saturation keeps a client that has been silent for days among the longest idle.
func TestIdlenessSaturates(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		f.beats(sid, 1)
		s := f.session().s
		s.recvMu.Lock()
		s.quiet = 254
		s.recvMu.Unlock()
		f.beats(sid, 3)
		if n := s.quietFor(); n != 255 {
			t.Errorf("idle for %d heartbeats", n)
		}
	})
}

// A session between two polls counts as moved, though it ends with the next.
func TestMoveKeepsWhatItIsTold(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		var sids []string
		for range 5 {
			sids = append(sids, f.open())
		}
		moved := f.move(Move{Most: 100, Keep: 3})
		if n := moved(); n != 2 {
			t.Errorf("moved %d of 5, to keep 3", n)
		}
		closed := 0
		for _, sid := range sids {
			poll := f.polling(sid)
			select {
			case a := <-poll:
				a.want(t, 200, "6\x1e1")
				closed++
			default:
			}
		}
		if closed != 2 || f.srv.Len() != 3 {
			t.Errorf("%d clients are told, %d sessions stay", closed, f.srv.Len())
		}
		if n := f.move(Move{Most: 100, Keep: 3})(); n != 0 { // the same order again
			t.Errorf("moved %d again", n)
		}
	})
}

// working is a receiver that may be busy or pinned.
type working struct {
	*recorder
	busy, pinned atomic.Bool
}

func (w *working) Busy() bool              { return w.busy.Load() }
func (w *working) Pinned() bool            { return w.pinned.Load() }
func (w *working) IdleOn(_ eventloop.Loop) {}

func TestMoveSparesPinnedAndBusySessions(t *testing.T) {
	opened := make(chan *working, 10)
	cfg := Config{Open: func(s *Session) Receiver {
		w := &working{recorder: newRecorder(s)}
		opened <- w
		return w
	}}
	bubble(t, cfg, func(t *testing.T, f *fixture) {
		var all []*working
		for range 4 {
			f.polling(f.open())
			all = append(all, <-opened)
		}
		all[0].pinned.Store(true)
		all[1].busy.Store(true)
		all[2].busy.Store(true)
		moved := f.move(Move{Most: 4})
		synctest.Wait()
		if n := f.srv.Len(); n != 3 {
			t.Errorf("%d sessions are left, want the pinned and the busy ones", n)
		}
		all[1].busy.Store(false) // its handlers return
		if n := moved(); n != 2 {
			t.Errorf("moved %d, want those that were not busy at the end, nor pinned", n)
		}
		all[1].wantClosed(t, ForcedClose)
		all[3].wantClosed(t, ForcedClose)
	})
}

func TestMoveEndsWithItsContext(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		for range 3 {
			f.open()
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		n, err := f.srv.Move(ctx, Move{Most: 3, PerSecond: 1})
		if n != 2 || err == nil || !strings.Contains(err.Error(), "context deadline") {
			t.Errorf("moved %d: %v", n, err)
		}
	})
}
