package engineio

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestParkedSocketsAreInThePoller(t *testing.T) {
	f := serve(t, Config{}, onPoller)
	f.websocket("")
	s := f.session().s
	if _, ok := s.ws.link.(*pollLink); !ok {
		t.Errorf("link %T", s.ws.link)
	}
}

// A poller that ends leaves the link that is away to the goroutine that still handles a message of
// it: a descriptor that is closed while it is read may be another's by then.
func TestPollerEndsWhileReceiveBlocks(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{})
	f := serveSlow(t, onPoller, func(s *Session, message []byte) {
		if string(message) == "wait" {
			close(began)
			<-release
			return
		}
		s.Send(NewText(message))
	}, nil)
	waiting := f.websocket("")
	r := f.session()
	other := f.websocket("")
	o := f.session()
	waiting.send("4wait")
	<-began
	other.send("4echo") // the leader is another by now
	other.want("4echo")
	links := []*pollLink{r.s.ws.link.(*pollLink), o.s.ws.link.(*pollLink)}
	open := func(l *pollLink) bool {
		l.w.session.mu.Lock()
		defer l.w.session.mu.Unlock()
		return l.fd >= 0
	}
	f.srv.stopPolling()
	testkit.Until(t, "the poller has ended", func() bool { return !open(links[1]) })
	if !open(links[0]) {
		t.Error("the descriptor was closed while a message was handled")
	}
	close(release)
	testkit.Until(t, "the descriptor is closed", func() bool { return !open(links[0]) })
	for _, r := range []*recorder{r, o} { // as they are before a poller ends
		r.s.mu.Lock()
		r.s.ws.cutLocked()
		r.s.mu.Unlock()
	}
}

func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(list)
}

// Every descriptor that was detached is closed once: by the client's end, a breach, Close, or the
// server's end.
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
	// The rest are our own ends of the last connections.
	if after := descriptors(t); after > before+10 {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// A message that is sent before the socket is in the poller, and is larger than the kernel takes,
// leaves when there is room.
func TestBlockedBeforeItIsParked(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 512<<10) // 8 MiB
	f := serve(t, Config{Open: func(s *Session) Receiver {
		s.Send(NewBinary(big))
		return nil
	}}, onPoller)
	c := f.websocket("")
	if op, data := c.next(); op != opBinary || !bytes.Equal(data, big) {
		t.Errorf("opcode %d, %d bytes", op, len(data))
	}
}

// The end of a connection is seen behind more than one turn of reading, though the kernel tells of
// it only once.
func TestEndBehindABacklog(t *testing.T) {
	for _, end := range []string{"close", "half-close"} {
		t.Run(end, func(t *testing.T) {
			f := serve(t, Config{}, onPoller)
			ln, err := net.Listen("unix", t.TempDir()+"/s")
			if err != nil {
				t.Fatal(err)
			}
			hs := &http.Server{Handler: f.srv}
			served := make(chan struct{})
			go func() { hs.Serve(ln); close(served) }()
			defer func() { hs.Close(); <-served }()
			f.dial = func() net.Conn {
				c, err := net.Dial("unix", ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			c := f.websocket("")
			r := f.session()
			conn := c.Conn.(*net.UnixConn)
			if err := conn.SetWriteBuffer(4 * pollReads * pollBuffer); err != nil {
				t.Fatal(err)
			}
			// The poller is held while the socket fills.
			r.s.recvMu.Lock()
			c.send("4held")
			sent := 0
			for piece := frame(finBit|opBinary, make([]byte, 8<<10)); sent < pollReads*pollBuffer+pollBuffer/2; sent += len(piece) {
				conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
				if _, err := conn.Write(piece); err != nil {
					r.s.recvMu.Unlock()
					t.Skipf("the socket takes %d bytes only: %v", sent, err)
				}
			}
			if end == "close" {
				c.Close()
			} else {
				conn.CloseWrite()
			}
			r.s.recvMu.Unlock()
			r.wantClosed(t, TransportClose)
			if end != "close" {
				io.Copy(io.Discard, c.r)
			}
		})
	}
}
