package socketio_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/gobwas/ws"

	"github.com/sidereal-io/sidereal/socketio"
)

// A handler that has been quick for long may block all the same: for the event of another client,
// and for an answer of its own.
func TestQuickHandlerThatBlocks(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, 2, func(io *socketio.Server) {
		io.On("step", func(s *socketio.Socket, how string) bool {
			switch how {
			case "wait":
				<-release
			case "release":
				close(release)
			}
			return true
		})
	})
	n := int64(0)
	for range 300 {
		r.write(r.conns[0], `421["step","quickly"]`)
		n++
		r.await(n)
	}
	r.write(r.conns[0], `421["step","wait"]`)
	r.write(r.conns[1], `421["step","release"]`)
	r.await(n + 2)
}

// The events of a socket are handled in their order, whichever goroutine handles them.
func TestOrderOfQuickAndSlowEvents(t *testing.T) {
	const bursts, burst = 40, 150 // more than one turn's
	var mu sync.Mutex
	last, wrong := -1, 0
	handle := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		if n != last+1 {
			wrong++
		}
		last = n
		return true
	}
	waits, goes := make(chan struct{}), make(chan struct{})
	r := newRig(t, 1, func(io *socketio.Server) {
		io.On("quick", handle)
		io.On("slow", func(n int) bool {
			waits <- struct{}{}
			<-goes
			return handle(n)
		})
	})
	go func() {
		for range waits {
			goes <- struct{}{}
		}
	}()
	defer close(waits)
	sent := 0
	for range bursts {
		var text []byte
		for i := range burst {
			event := "quick"
			if i%50 == 49 {
				event = "slow"
			}
			frame := ws.NewTextFrame(fmt.Appendf(nil, `421["%s",%d]`, event, sent))
			text = append(text, ws.MustCompileFrame(ws.MaskFrameInPlace(frame))...)
			sent++
		}
		if _, err := r.conns[0].Write(text); err != nil {
			t.Fatal(err)
		}
		r.await(int64(sent))
	}
	mu.Lock()
	defer mu.Unlock()
	if wrong > 0 || last != sent-1 {
		t.Errorf("%d out of order, the last is %d of %d", wrong, last, sent)
	}
}
