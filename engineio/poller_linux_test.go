package engineio

import (
	"os"
	"testing"
)

func TestParkedSocketsAreInThePoller(t *testing.T) {
	f := serve(t, Config{}, onPoller)
	f.websocket("")
	s := f.session().s
	if _, ok := s.ws.link.(*pollLink); !ok {
		t.Errorf("link %T", s.ws.link)
	}
}

func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}

// Every descriptor that was detached is closed once: by the client's end, a breach, Close, or the server's end.
func TestNoDescriptorIsLeft(t *testing.T) {
	before := descriptors(t)
	f := serve(t, Config{}, onPoller)
	for i := range 40 {
		c := f.websocket("")
		r := f.session()
		switch i % 4 {
		case 0:
			c.Close()
			r.wantClosed(t, TransportClose)
		case 1:
			c.Write([]byte{0xff, 0xff})
			c.wantClose(1002)
			c.Close()
		case 2:
			r.s.Close()
			c.wantClose(0)
			c.Close()
		default:
			defer c.Close() // ends after the server
		}
	}
	f.stop()
	// What is left are our own ends of the last connections.
	if after := descriptors(t); after > before+10 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}
