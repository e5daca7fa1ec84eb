package socketio

import (
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/sidereal-io/sidereal/engineio"
)

// What an event and its answer allocate, from the message to the message: the text that was received, where its arguments
// are, the cork, the answer, what is boxed for the handler, the message that is sent with its frame.
func TestEchoAllocations(t *testing.T) {
	srv, err := New(Config{Config: engineio.Config{MaxQueueBytes: 1 << 30}})
	if err != nil {
		t.Fatal(err)
	}
	handled := 0
	srv.On("echo", func(_ *Socket, args Args, ack Ack) error {
		handled++
		return ack(args)
	})
	srv.Engine().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/socket.io/?EIO=4&transport=polling", nil))
	sessions := slices.Collect(srv.Engine().Sessions())
	c := newClient(srv, sessions[0])
	s := newSocket(c, "/", nil)
	c.sockets = append(c.sockets, s)
	s.connect()
	s.running = false
	echo := []byte(`21["echo","hello, world"]`)
	n := testing.AllocsPerRun(1000, func() {
		c.Receive(echo, false)
		c.handOut(func(s *Socket) {
			srv.work.begin()
			(*turn)(s).Do(false)
		})
	})
	if n > 11 || handled != 1001 {
		t.Errorf("%v allocations, %d handled", n, handled)
	}
}
