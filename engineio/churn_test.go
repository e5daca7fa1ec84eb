package engineio

import (
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// counter is a Receiver that echoes and counts its end.
type counter struct {
	s      *Session
	closed *atomic.Int64
	ended  atomic.Bool
	t      *testing.T
}

func (c *counter) Receive(data []byte, binary bool) {
	if c.ended.Load() {
		c.t.Error("Receive after Closed")
	}
	if binary {
		c.s.Send(NewBinary(data))
	} else {
		c.s.Send(NewText(data))
	}
}

func (c *counter) Idle() {}

func (c *counter) Closed(string, error) {
	if c.ended.Swap(true) {
		c.t.Error("Closed twice")
	}
	c.closed.Add(1)
}

// Clients come and go in every way at once, and broadcast to each other. Each session ends exactly
// once and nothing is left.
func TestChurn(t *testing.T) {
	for _, d := range drives {
		t.Run(d, func(t *testing.T) {
			var opened, closed atomic.Int64
			reg := prometheus.NewPedanticRegistry()
			f := serve(t, Config{Metrics: reg, Open: func(s *Session) Receiver {
				opened.Add(1)
				return &counter{s: s, closed: &closed, t: t}
			}}, d)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(i), 7))
					for range 25 {
						f.visit(rnd)
					}
				})
			}
			wg.Wait()
			f.stop()
			if opened.Load() != 8*25 || closed.Load() != opened.Load() || f.srv.Len() != 0 {
				t.Errorf("%d opened, %d closed, %d left", opened.Load(), closed.Load(), f.srv.Len())
			}
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			for _, fam := range families {
				sum := 0.0
				for _, m := range fam.Metric {
					sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
				want := 8 * 25.0 // each counter of what begins and ends
				switch fam.GetName() {
				case "sidereal_engine_messages_total", "sidereal_engine_bytes_total":
					continue // TestStats
				case "sidereal_engine_sessions", "sidereal_engine_errors_total", "sidereal_engine_repeats_total", "sidereal_engine_interrupted_sessions",
					"sidereal_engine_limits_total", "sidereal_engine_moved_sessions_total":
					want = 0
				}
				if sum != want {
					t.Errorf("%s sums up to %v, want %v", fam.GetName(), sum, want)
				}
			}
		})
	}
}

// visit is one client: it begins somehow, has a few messages echoed among broadcasts to all, and
// ends somehow.
func (f *fixture) visit(rnd *rand.Rand) {
	var c *wsClient
	if rnd.IntN(3) == 0 {
		sid := f.open()
		c, _ = f.upgrade(wsQuery+sid, "")
		c.send("2probe")
		c.want("3probe")
		c.send("5")
	} else {
		c = f.websocket("")
	}
	defer c.Close()
	for i := range rnd.IntN(5) {
		want := fmt.Sprintf("%d %d", i, rnd.Int())
		c.send("4" + want)
		m := NewBinary(make([]byte, 3000))
		for s := range f.srv.Sessions() {
			s.Send(m)
		}
		for { // what is broadcast lies between
			op, data := c.next()
			if op == opText && string(data) == "4"+want {
				break
			}
			if op != opBinary {
				f.t.Errorf("opcode %d, %.20q; want %q", op, data, want)
				return
			}
		}
	}
	go io.Copy(io.Discard, c.r) // ends with the connection
	switch rnd.IntN(5) {
	case 0:
		c.Write(frame(finBit|opClose, []byte{3, 232}))
	case 1:
		c.Write(text("x"))
	case 2:
		c.Write([]byte{0xff, 0xff})
	case 3:
		c.Write(text("4half a frame")[:5])
	}
}
