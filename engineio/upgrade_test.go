package engineio

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

const wsQuery = "EIO=4&transport=websocket&sid="

// probe begins an upgrade and reads the probe's answer.
func (f *fixture) probe(sid string) *wsClient {
	f.t.Helper()
	c, resp := f.upgrade(wsQuery+sid, "")
	if resp.StatusCode != 101 {
		f.t.Fatalf("upgrade: status %d", resp.StatusCode)
	}
	c.send("2probe")
	c.want("3probe")
	return c
}

func TestUpgrade(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		poll := f.polling(sid)
		start := time.Now()
		c := f.probe(sid)
		(<-poll).want(t, 200, "6")
		if d := time.Since(start); d != 0 {
			t.Errorf("noop after %v", d)
		}
		// Until the upgrade packet, everything goes over polling.
		r.s.Send(NewText([]byte("polled")))
		f.poll(sid).want(t, 200, "4polled")
		f.post(sid, "4posted").want(t, 200, "ok")
		r.s.Send(NewText([]byte("a")), NewBinary([]byte("b")))
		if got := r.s.Transport(); got != Polling {
			t.Errorf("transport %s before the upgrade packet", got)
		}
		c.send("5")
		c.want("4a")
		if op, data := c.next(); op != opBinary || string(data) != "b" {
			t.Errorf("opcode %d, %q", op, data)
		}
		if got := r.s.Transport(); got != WebSocket {
			t.Errorf("transport %s after the upgrade packet", got)
		}
		c.send("4over websocket")
		r.wantMessage(t, "posted")
		r.wantMessage(t, "over websocket")
		mismatch := `{"code":3,"message":"Bad request"}`
		f.poll(sid).want(t, 400, mismatch)
		f.post(sid, "4x").want(t, 400, mismatch)
		// The upgrade's timer is gone, pings go on.
		time.Sleep(20 * time.Second)
		c.want("2")
		c.Close()
		r.wantClosed(t, TransportClose)
	})
}

func TestUpgradeOverSockets(t *testing.T) {
	drive(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		c := f.probe(sid)
		c.Write(append(text("5"), text("4echo:x")...))
		c.want("4echo:x")
		c.Close()
		r.wantClosed(t, TransportClose)
	})
}

func TestUpgradeWithoutAProbe(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		r.s.Send(NewText([]byte("waited")))
		c, _ := f.upgrade(wsQuery+sid, "")
		c.send("5")
		c.want("4waited")
	})
}

func TestPollPendingAtTheSwitch(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		c := f.probe(sid)
		f.poll(sid).want(t, 200, "6") // the first after the probe
		poll := f.polling(sid)
		c.send("5")
		(<-poll).want(t, 200, "1")
		f.session().s.Send(NewText([]byte("a")))
		c.want("4a")
	})
}

// The session polls on after any failure of the probing WebSocket.
func TestUpgradeFailures(t *testing.T) {
	for name, fail := range map[string]func(c *wsClient){
		"another packet":     func(c *wsClient) { c.send("4x"); c.wantClose(0) },
		"no packet":          func(c *wsClient) { c.send("x"); c.wantClose(0) },
		"ping without probe": func(c *wsClient) { c.send("2"); c.wantClose(0) },
		"binary":             func(c *wsClient) { c.Write(frame(finBit|opBinary, []byte{5})); c.wantClose(0) },
		"frame error":        func(c *wsClient) { c.Write([]byte{0xff, 0xff}); c.wantClose(1002) },
		"close frame":        func(c *wsClient) { c.Write(frame(finBit|opClose, nil)); c.next() },
		"cut":                func(c *wsClient) { c.Close() },
		"timeout":            func(c *wsClient) { c.wantClose(0) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, f *fixture) {
				sid := f.open()
				r := f.session()
				start := time.Now()
				fail(f.probe(sid))
				if d := time.Since(start); name == "timeout" && d != 10*time.Second {
					t.Errorf("closed after %v, want 10s", d)
				}
				synctest.Wait()
				poll := f.polling(sid)
				time.Sleep(time.Second) // no more noops
				f.post(sid, "4echo:lives").want(t, 200, "ok")
				(<-poll).want(t, 200, "4echo:lives")
				// And it may try again.
				c := f.probe(sid)
				c.send("5")
				r.s.Send(NewText([]byte("a")))
				c.want("4a")
			})
		})
	}
}

// A client that probes again and again gets its noops and runs out of time all the same.
func TestProbingOn(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		poll := f.polling(sid)
		start := time.Now()
		c := f.probe(sid)
		var probing sync.WaitGroup
		probing.Go(func() {
			for {
				time.Sleep(50 * time.Millisecond)
				if _, err := c.Write(text("2probe")); err != nil {
					return
				}
			}
		})
		for {
			if op, _ := c.next(); op == opClose {
				break
			}
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("closed after %v, want 10s", d)
		}
		(<-poll).want(t, 200, "6")
		c.Close()
		probing.Wait()
	})
}

// TestPollsWhileTheProbeIsSlow: a client whose WebSocket is slow goes on polling. Its first poll
// after the probe ends at once, the others end at growing pauses.
func TestPollsWhileTheProbeIsSlow(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		poll := f.polling(sid)
		c := f.probe(sid)
		(<-poll).want(t, 200, "6")
		var took []time.Duration
		for range 6 {
			start := time.Now()
			f.poll(sid).want(t, 200, "6")
			took = append(took, time.Since(start))
		}
		want := []time.Duration{0, 10, 20, 40, 80, 100}
		for i := range want {
			want[i] *= time.Millisecond
		}
		if !slices.Equal(took, want) {
			t.Errorf("noops after %v, want %v", took, want)
		}
		c.send("5")
		f.session().s.Send(NewText([]byte("a")))
		c.want("4a")
	})
}

func TestSecondUpgrade(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		first := f.probe(sid)
		second, resp := f.upgrade(wsQuery+sid, "")
		if resp.StatusCode != 101 {
			t.Errorf("status %d", resp.StatusCode)
		}
		second.wantClose(0)
		first.send("5")
		first.send("4echo:a")
		first.want("4echo:a")
		third, _ := f.upgrade(wsQuery+sid, "")
		third.wantClose(0)
		first.send("4echo:b")
		first.want("4echo:b")
	})
}

func TestUpgradeFromWebSocketToWebSocket(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		old := f.websocket("")
		r := f.session()
		c := f.probe(r.s.ID())
		c.send("5")
		old.wantClose(0)
		c.send("4echo:a")
		c.want("4echo:a")
		if len(r.closed) != 0 {
			t.Error("the session has ended")
		}
	})
}

func TestUpgradeRequestWithSIDForPolling(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		c, resp := f.upgrade("EIO=4&transport=polling&sid="+sid, "")
		if resp.StatusCode != 101 {
			t.Errorf("status %d", resp.StatusCode)
		}
		c.wantClose(0)
		f.post(sid, "4x").want(t, 200, "ok")
	})
}

func TestSessionEndsWhileUpgrading(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		c := f.probe(sid)
		r.s.Close() // between polls: the session waits for one
		c.wantClose(0)
		f.poll(sid).want(t, 200, "6\x1e1")
		r.wantClosed(t, ForcedClose)
	})
}

// A ping that the client had not answered when it switched does not end the heartbeat.
func TestHeartbeatAcrossAnUpgrade(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		f.poll(sid).want(t, 200, "2")
		time.Sleep(15 * time.Second)
		c := f.probe(sid)
		c.send("5")
		start := time.Now()
		r.wantClosed(t, PingTimeout)
		if d := time.Since(start); d != 20*time.Second {
			t.Errorf("closed %v after the switch, want 20s", d)
		}
		c.wantClose(0)
	})
}

func TestUpgradeIsHonouredThoughNotOffered(t *testing.T) {
	bubble(t, Config{DisallowUpgrades: true}, func(t *testing.T, f *fixture) {
		c := f.probe(f.open())
		c.send("5")
		c.send("4echo:a")
		c.want("4echo:a")
	})
}

// A poll that was pending at the switch, and whose answer the client does not take, is none of the
// session's business.
func TestPollCutAfterTheSwitch(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		poll := f.rawPoll(sid)
		c := f.probe(sid)
		c.send("5")
		synctest.Wait() // the poll's answer is being written
		poll.Close()
		synctest.Wait()
		c.send("4echo:lives")
		c.want("4echo:lives")
	})
}

// talker is a Receiver that checks that the client's numbers come in order, and sends numbers of
// its own until stopped.
type talker struct {
	t       *testing.T
	s       *Session
	got     int
	stop    chan struct{}
	stopped chan int // how many were sent
}

func (k *talker) Receive(data []byte, binary bool) {
	if string(data) != sprint(k.got) {
		k.t.Errorf("received %q, want %d", data, k.got)
	}
	k.got++
}

func (k *talker) Idle()                {}
func (k *talker) Closed(string, error) {}

// talk sends numbers in every way that there is, in bursts with pauses of any length up to a few
// steps of an upgrade.
func (k *talker) talk(rnd *rand.Rand) {
	n := 0
	next := func() *Message {
		n++
		if rnd.IntN(2) == 0 {
			return NewBinary([]byte(sprint(n - 1)))
		}
		return NewText([]byte(sprint(n - 1)))
	}
	for {
		select {
		case <-k.stop:
			k.stopped <- n
			return
		default:
		}
		switch rnd.IntN(5) {
		case 0:
			k.s.Send(next(), next())
		case 1:
			k.s.Cork()
			for range rnd.IntN(5) {
				k.s.Send(next())
			}
			k.s.Uncork()
		case 2:
			k.s.Send(next())
		default:
			for range rnd.IntN(3000) {
				runtime.Gosched()
			}
		}
	}
}

// Both sides talk all through an upgrade: each message arrives once, in order.
func TestUpgradeKeepsPacketOrder(t *testing.T) {
	for _, d := range drives[1:] {
		t.Run(d, func(t *testing.T) {
			talkers := make(chan *talker)
			f := serve(t, Config{Open: func(s *Session) Receiver {
				k := &talker{t: t, s: s, stop: make(chan struct{}), stopped: make(chan int, 1)}
				go func() { talkers <- k }()
				return k
			}}, d)
			var opening sync.Mutex
			var clients sync.WaitGroup
			for i := range 4 {
				clients.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(i), 11))
					for range 5 {
						opening.Lock()
						sid := f.open()
						k := <-talkers
						opening.Unlock()
						f.upgradeTalking(k, sid, rnd)
					}
				})
			}
			clients.Wait()
		})
	}
}

// upgradeTalking upgrades as the official client does: it lets its poll and its post end before it
// sends the upgrade packet.
func (f *fixture) upgradeTalking(k *talker, sid string, rnd *rand.Rand) {
	t := k.t
	got, sent := 0, 0
	take := func(data []byte) {
		if string(data) != sprint(got) {
			t.Errorf("got %q, want %d", data, got)
		}
		got++
	}
	poll := func() {
		a := f.poll(sid)
		if a == nil || a.status != 200 {
			t.Errorf("poll: %+v", a)
			return
		}
		for p, err := range packet.Payload([]byte(a.body)) {
			if err != nil || p.Type != packet.Message && p.Type != packet.Noop {
				t.Errorf("poll: %v, %v", p, err)
			}
			if p.Type == packet.Message {
				take(p.Data)
			}
		}
	}
	post := func() {
		var ps []packet.Packet
		for range 1 + rnd.IntN(3) {
			ps = append(ps, packet.Packet{Type: packet.Message, Binary: rnd.IntN(2) == 0, Data: []byte(sprint(sent))})
			sent++
		}
		f.post(sid, string(packet.AppendPayload(nil, ps...))).want(t, 200, "ok")
	}
	go k.talk(rand.New(rand.NewPCG(rnd.Uint64(), 0)))
	for range rnd.IntN(4) {
		poll()
		post()
	}
	pause := make(chan struct{})
	var polling sync.WaitGroup
	polling.Go(func() {
		for {
			select {
			case <-pause:
				return
			default:
				poll()
			}
		}
	})
	c, _ := f.upgrade(wsQuery+sid, "")
	defer c.Close()
	post()
	c.send("2probe")
	post()
	c.want("3probe")
	for range rnd.IntN(3) {
		post()
	}
	close(pause)
	polling.Wait()
	c.send("5")
	for range 10 {
		c.send("4" + sprint(sent))
		sent++
	}
	total := -1
	stopAt := got + rnd.IntN(50)
	for total < 0 || got < total {
		if total < 0 && got >= stopAt {
			close(k.stop)
			if total = <-k.stopped; got == total {
				break
			}
		}
		op, data := c.next()
		switch {
		case op == opBinary:
			take(data)
		case op == opText && len(data) > 0 && data[0] == '4':
			take(data[1:])
		default:
			t.Errorf("opcode %d, %q", op, data)
			return
		}
	}
	c.Write(frame(finBit|opClose, nil)) // everything before it is handled by the time it is answered
	if op, data := c.next(); op != opClose {
		t.Errorf("opcode %d, %q behind the last message", op, data)
	}
	k.s.recvMu.Lock()
	defer k.s.recvMu.Unlock()
	if k.got != sent {
		t.Errorf("%d messages received, %d sent", k.got, sent)
	}
}
