package socketio_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

// onHub runs two servers with recovery on one Hub.
func onHub(t *testing.T, recovery socketio.Recovery, test func(t *testing.T, a, b *peer.Host)) {
	synctest.Test(t, func(t *testing.T) {
		hub := cluster.NewHub()
		serve := func() *peer.Host {
			return peer.Serve(t, socketio.Config{Adapter: hub, Recovery: &recovery}, func(io *socketio.Server) {
				io.On("join", func(s *socketio.Socket, room string) error { s.Join(room); return nil })
				io.On("bye", func(s *socketio.Socket) { s.Disconnect(false) })
			})
		}
		test(t, serve(), serve())
	})
}

// arrive connects a client that is in room r, and returns the identity by which it comes back.
func arrive(t *testing.T, h *peer.Host) (p *peer.Peer, sid, pid string) {
	t.Helper()
	p = h.Dial("")
	p.Send("0")
	sid, pid = session(t, p)
	p.Send(`29["join","r"]`)
	p.Want(`39[]`)
	return p, sid, pid
}

func comeBack(h *peer.Host, pid, offset string) *peer.Peer {
	p := h.Dial("")
	p.Send(`0{"pid":"` + pid + `","offset":"` + offset + `"}`)
	return p
}

func TestHubRecoversOnAnotherServer(t *testing.T) {
	onHub(t, socketio.Recovery{}, func(t *testing.T, a, b *peer.Host) {
		p, sid, pid := arrive(t, a)
		b.IO.To("r").Emit("seen")
		p.Want(`2["seen","hub-1"]`)
		p.Cut()
		synctest.Wait()
		a.IO.To("r").Emit("missed", 1)
		a.IO.Except("r").Emit("not for it")
		b.IO.Emit("missed", []byte("x"))
		b.IO.Volatile().Emit("volatile")
		q := comeBack(b, pid, "hub-1")
		q.Want(`2["missed",1,"hub-2"]`, `51-["missed",{"_placeholder":true,"num":0},"hub-4"]`, "b:x")
		if again, same := session(t, q); again != sid || same != pid {
			t.Errorf("came back as %s, was %s", again, sid)
		}
		a.IO.To("r").Emit("live")
		q.Want(`2["live","hub-5"]`)
		synctest.Wait()
		q.WantNothing()
	})
}

// TestHubTakesSocketsOver has clients come back before their old server has noticed, and others
// that are not to be let in.
func TestHubTakesSocketsOver(t *testing.T) {
	onHub(t, socketio.Recovery{MaxDisconnection: time.Minute, MaxBytes: 100}, func(t *testing.T, a, b *peer.Host) {
		p, sid, pid := arrive(t, a)
		fresh := func(host *peer.Host, offset string) {
			t.Helper()
			q := comeBack(host, pid, offset)
			if again, _ := session(t, q); again == sid {
				t.Errorf("recovered from %q", offset)
			}
			q.Cut()
		}
		fresh(b, "hub-1") // is yet to be
		fresh(b, "hub-x")
		fresh(b, "1")
		q := comeBack(b, pid, "") // has seen nothing
		if again, _ := session(t, q); again != sid {
			t.Errorf("came back as %s, was %s", again, sid)
		}
		if got := p.Next(); got != "closed" {
			t.Errorf("the old connection got %q", got)
		}
		a.IO.Emit("e")
		q.Want(`2["e","hub-1"]`)
		q.Cut()
		synctest.Wait()
		a.IO.Emit("large", strings.Repeat("x", 100)) // MaxBytes are over
		fresh(a, "hub-1")

		p, sid, pid = arrive(t, a)
		p.Cut()
		time.Sleep(2 * time.Minute)
		fresh(b, "")

		p, sid, pid = arrive(t, a)
		p.Send(`2["bye"]`)
		p.Want("1")
		synctest.Wait()
		fresh(b, "")
	})
}

// TestHubKeepsOneOrder has two servers emit at once: all clients see the offsets rise.
func TestHubKeepsOneOrder(t *testing.T) {
	onHub(t, socketio.Recovery{}, func(t *testing.T, a, b *peer.Host) {
		p, _, _ := arrive(t, a)
		q, _, _ := arrive(t, b)
		const n = 100
		var emitting sync.WaitGroup
		for _, h := range []*peer.Host{a, b} {
			emitting.Go(func() {
				for range n {
					h.IO.Emit("e")
				}
			})
		}
		emitting.Wait()
		for i := range 2 * n {
			want := fmt.Sprintf(`2["e","hub-%d"]`, i+1)
			p.Want(want)
			q.Want(want)
		}
	})
}
