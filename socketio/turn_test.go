package socketio

import (
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// quiet is a server with an event, a connected client of it whose session polls, and that client's
// socket.
func quiet(t *testing.T, event string, handler any) (*Server, *client, *Socket) {
	t.Helper()
	srv, err := New(Config{MaxQueueBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	srv.On(event, handler)
	srv.Engine().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/socket.io/?EIO=4&transport=polling", nil))
	c := newClient(srv, slices.Collect(srv.Engine().Sessions())[0])
	s := newSocket(c, "/", nil)
	c.sockets = append(c.sockets, s)
	s.connect()
	s.running = false
	return srv, c, s
}

// An event and its answer allocate, from message to message: the text that was received, the places
// of its arguments, the cork, the answer, the boxes for the handler, and the message that is sent
// with its frame.
func TestEchoAllocations(t *testing.T) {
	handled := 0
	srv, c, _ := quiet(t, "echo", func(_ *Socket, args Args, ack Ack) error {
		handled++
		return ack(args)
	})
	echo := []byte(`21["echo","hello, world"]`)
	n := testing.AllocsPerRun(1000, func() {
		c.Receive(echo, false)
		c.handOut(func(s *Socket) {
			srv.work.begin()
			(*turn)(s).Do(eventloop.Unlimited)
		})
	})
	if n > 11 || handled != 1001 {
		t.Errorf("%v allocations, %d handled", n, handled)
	}
}

// A socket with many events leaves the goroutine that reads to others, as does one whose handler
// has become slow. A short event occupies it once.
func TestBriefTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock stands still: a slow machine makes no handler slow
		handled := 0
		srv, c, s := quiet(t, "step", func(*Socket, Args) { handled++ })
		pace := &srv.registry.Load().events["step"][0].pace
		enqueue := func(n int) {
			for range n {
				c.Receive([]byte(`2["step"]`), false)
			}
			c.handOut(func(*Socket) { srv.work.begin() })
		}
		do := func(limit eventloop.Limit, done bool, all int) {
			t.Helper()
			if got := (*turn)(s).Do(limit); got != done || handled != all {
				t.Errorf("done %v, %d handled; want %v, %d", got, handled, done, all)
			}
		}
		pace.brief.ns.Store(-int64(mostCredit * briefTime))
		enqueue(maxBrief + 10)
		do(eventloop.Brief, false, maxBrief)
		do(eventloop.Unlimited, true, maxBrief+10)
		enqueue(3)
		pace.brief.ns.Store(int64(mostDebt * briefTime))
		do(eventloop.Brief, false, maxBrief+10)
		pace.short.ns.Store(-int64(mostCredit * shortTime))
		do(eventloop.Brief, false, maxBrief+10)
		do(eventloop.Short, false, maxBrief+11)
		pace.short.ns.Store(1)
		do(eventloop.Short, false, maxBrief+11)
		do(eventloop.Unlimited, true, maxBrief+13)
		srv.work.end() // all that began has ended
	})
}
