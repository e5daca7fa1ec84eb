package engineio

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// slow is a Receiver whose Receive is the test's, and may block.
type slow struct {
	*recorder
	receive func(s *Session, message []byte)
	idle    func(loop eventloop.Loop)
}

func (r *slow) Receive(data []byte, _ bool) { r.receive(r.s, data) }

func (r *slow) Busy() bool { return false }

func (r *slow) Pinned() bool { return false }

func (r *slow) IdleOn(loop eventloop.Loop) {
	if r.idle != nil {
		r.idle(loop)
	}
}

// serveSlow runs a server whose sessions receive by the test's functions. They are told in the
// order of their beginning.
func serveSlow(t *testing.T, drive string, receive func(s *Session, message []byte), idle func(loop eventloop.Loop)) *fixture {
	opened := make(chan *recorder, 2000)
	f := serve(t, Config{Open: func(s *Session) Receiver {
		r := &slow{newRecorder(s), receive, idle}
		opened <- r.recorder
		return r
	}}, drive)
	f.opened = opened
	return f
}

// A message that takes long to be received keeps no other connection from being read, and none of
// its own is lost or overtaken: those that come meanwhile, in whatever pieces, follow it.
func TestReceiveThatBlocks(t *testing.T) {
	for _, drive := range drives {
		t.Run(drive, func(t *testing.T) {
			release, got := make(chan struct{}), make(chan string, 10)
			f := serveSlow(t, drive, func(s *Session, message []byte) {
				switch string(message) {
				case "wait":
					<-release
				case "echo":
					s.Send(NewText(message))
					return
				}
				got <- string(message)
			}, nil)
			waiting, other := f.websocket(""), f.websocket("")
			for round := range 3 {
				waiting.send("4wait")
				var sender sync.WaitGroup
				sender.Go(func() { // a net.Pipe is written to only as it is read
					second := text("4second")
					for i := range second {
						waiting.Write(second[i : i+1])
					}
				})
				for range 5 {
					other.send("4echo")
					other.want("4echo")
				}
				release <- struct{}{}
				sender.Wait()
				for _, want := range []string{"wait", "second"} {
					if s := <-got; s != want {
						t.Errorf("round %d: %q, want %q", round, s, want)
					}
				}
				waiting.send("4third") // read by the leader again
				if s := <-got; s != "third" {
					t.Errorf("round %d: %q, want %q", round, s, "third")
				}
			}
		})
	}
}

// Work that a goroutine leaves which doesn't lead any more is done at once, though the one that
// leads waits for events.
func TestWorkBehindAReceiveThatBlocks(t *testing.T) {
	for _, drive := range drives {
		t.Run(drive, func(t *testing.T) {
			release, done := make(chan struct{}), make(chan struct{})
			var blocked atomic.Bool
			f := serveSlow(t, drive, func(s *Session, message []byte) {
				switch string(message) {
				case "wait":
					<-release
					blocked.Store(true)
				default:
					s.Send(NewText(message))
				}
			}, func(loop eventloop.Loop) {
				if blocked.Load() {
					loop.Later(workFunc(func(bool) bool { close(done); return true }))
				}
			})
			waiting, other := f.websocket(""), f.websocket("")
			waiting.send("4wait")
			for range 2 {
				other.send("4echo")
				other.want("4echo")
			}
			close(release)
			<-done
		})
	}
}

// Many sessions whose messages hold each other up, each until another's is received: all are
// received once, and in order, and what is left to be done later is done.
func TestManyReceivesThatBlock(t *testing.T) {
	const sessions, messages = 20, 40
	for _, drive := range drives {
		t.Run(drive, func(t *testing.T) {
			var received, later, over atomic.Int64
			var mu sync.Mutex
			came := sync.NewCond(&mu)
			next := map[*Session]uint32{}
			f := serveSlow(t, drive, func(s *Session, message []byte) {
				mu.Lock()
				defer mu.Unlock()
				if len(message) == 0 { // from the one who keeps the last from waiting for good
					received.Add(1)
					came.Broadcast()
					s.Send(NewText(nil))
					return
				}
				n := binary.BigEndian.Uint32(message)
				if want := next[s]; n != want {
					t.Errorf("message %d, want %d", n, want)
				}
				next[s] = n + 1
				mine := received.Add(1)
				came.Broadcast()
				for message[4] == 0 && received.Load() == mine {
					came.Wait()
				}
				if n == messages-1 {
					over.Add(1)
				}
			}, func(loop eventloop.Loop) {
				later.Add(1)
				loop.Later(workFunc(func(bool) bool { later.Add(-1); return true }))
			})
			pump := f.websocket("")
			var conns []*wsClient
			var clients sync.WaitGroup
			for i := range sessions {
				c := f.websocket("")
				conns = append(conns, c)
				clients.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(i), 1))
					var stream []byte
					for n := range uint32(messages) {
						b := binary.BigEndian.AppendUint32([]byte(nil), n)
						b = append(b, byte(rnd.IntN(8)))
						stream = append(stream, frame(finBit|opBinary, append(b, make([]byte, rnd.IntN(3000))...))...)
					}
					for len(stream) > 0 {
						n := min(1+rnd.IntN(8000), len(stream))
						if _, err := c.Write(stream[:n]); err != nil {
							t.Error(err)
							return
						}
						stream = stream[n:]
					}
				})
			}
			for over.Load() < sessions {
				pump.send("4")
				pump.want("4")
			}
			clients.Wait()
			for _, c := range append(conns, pump) {
				c.Close()
			}
			f.stop()
			if n := later.Load(); n != 0 {
				t.Errorf("%d left undone", n)
			}
		})
	}
}

// A session that ends while a message of it takes long is told after that; its connection is closed
// once.
func TestEndWhileReceiveBlocks(t *testing.T) {
	for _, drive := range drives {
		for _, end := range []string{"client", "breach", "session", "server"} {
			t.Run(drive+"/"+end, func(t *testing.T) {
				release := make(chan struct{})
				var receiving atomic.Bool
				began := make(chan struct{}, 1)
				f := serveSlow(t, drive, func(s *Session, message []byte) {
					if string(message) == "wait" {
						receiving.Store(true)
						began <- struct{}{}
						<-release
						receiving.Store(false)
						return
					}
					s.Send(NewText(message))
				}, nil)
				waiting := f.websocket("")
				r := f.session()
				other := f.websocket("")
				waiting.send("4wait")
				<-began
				reason := TransportClose
				var stopped sync.WaitGroup
				switch end {
				case "client":
					waiting.Close()
				case "breach":
					stopped.Go(func() { waiting.Write([]byte{0xff, 0xff}) })
					reason = TransportError
				case "session":
					r.s.Close()
					reason = ForcedClose
				}
				other.send("4echo") // the events of both are behind others' by now
				other.want("4echo")
				if end == "server" {
					reason = ShuttingDown
					stopped.Go(f.stop)
					for op, _ := other.next(); op != opClose; op, _ = other.next() {
					}
				}
				close(release)
				r.wantClosed(t, reason)
				if receiving.Load() {
					t.Error("closed while a message is received")
				}
				if end == "breach" || end == "session" {
					for op, _ := waiting.next(); op != opClose; op, _ = waiting.next() {
					}
				}
				waiting.Close()
				other.Close()
				stopped.Wait()
				f.stop()
			})
		}
	}
}
