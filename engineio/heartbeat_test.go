package engineio

import (
	"testing"
	"time"
)

func TestPingOverPolling(t *testing.T) {
	bubble(t, Config{PingInterval: 200 * time.Millisecond}, func(t *testing.T, f *fixture) {
		start := time.Now()
		sid := f.open()
		f.poll(sid).want(t, 200, "2")
		if d := time.Since(start); d != 200*time.Millisecond {
			t.Errorf("first ping after %v", d)
		}
		// The interval runs from the pong's arrival.
		time.Sleep(100 * time.Millisecond)
		f.post(sid, "3").want(t, 200, "ok")
		f.poll(sid).want(t, 200, "2")
		if d := time.Since(start); d != 500*time.Millisecond {
			t.Errorf("second ping after %v, want 500ms", d)
		}
	})
}

func TestPingTimeout(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		start := time.Now()
		sid := f.open()
		r := f.session()
		f.poll(sid).want(t, 200, "2")
		poll := f.polling(sid)
		r.wantClosed(t, PingTimeout)
		if d := time.Since(start); d != 45*time.Second {
			t.Errorf("closed after %v, want 45s", d)
		}
		(<-poll).want(t, 200, "1")
	})
}

// A ping that no poll fetches runs out all the same.
func TestPingTimeoutBetweenPolls(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		start := time.Now()
		f.open()
		f.session().wantClosed(t, PingTimeout)
		if d := time.Since(start); d != 45*time.Second {
			t.Errorf("closed after %v, want 45s", d)
		}
	})
}

func TestUnaskedPongPostponesThePing(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		start := time.Now()
		sid := f.open()
		time.Sleep(10 * time.Second)
		f.post(sid, "3").want(t, 200, "ok")
		f.poll(sid).want(t, 200, "2")
		if d := time.Since(start); d != 35*time.Second {
			t.Errorf("ping after %v, want 35s", d)
		}
	})
}

func TestAPacketExtendsTheTimeoutOnce(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		start := time.Now()
		sid := f.open()
		r := f.session()
		f.poll(sid).want(t, 200, "2") // at 25s
		for range 3 {
			time.Sleep(5 * time.Second)
			f.post(sid, "4still here").want(t, 200, "ok")
		}
		r.wantClosed(t, PingTimeout)
		if d := time.Since(start); d != 50*time.Second {
			t.Errorf("closed after %v, want 50s", d)
		}
	})
}

func TestHeartbeatOverWebSocket(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		start := time.Now()
		c := f.websocket("")
		r := f.session()
		for i := 1; i <= 3; i++ {
			c.want("2")
			if d := time.Since(start); d != time.Duration(25*i)*time.Second {
				t.Errorf("ping %d after %v", i, d)
			}
			c.send("3")
		}
		c.want("2")
		c.Write(frame(finBit|opPing, []byte("ws ping"))) // no heartbeat
		if op, data := c.next(); op != opPong || string(data) != "ws ping" {
			t.Errorf("opcode %d, %q; want a pong frame", op, data)
		}
		c.wantClose(0)
		r.wantClosed(t, PingTimeout)
		if d := time.Since(start); d != 120*time.Second {
			t.Errorf("closed after %v, want 120s", d)
		}
	})
}

// The client does not answer the close frame: the connection is cut.
func TestLingeringIsBounded(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		c := f.websocket("")
		start := time.Now()
		f.session().s.Close()
		if op, _ := c.next(); op != opClose {
			t.Errorf("opcode %d, want a close frame", op)
		}
		if op, _ := c.next(); op != 0xff {
			t.Errorf("opcode %d, want the end", op)
		}
		if d := time.Since(start); d != lingerTimeout {
			t.Errorf("cut after %v, want %v", d, lingerTimeout)
		}
	})
}
