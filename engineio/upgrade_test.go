package engineio

import (
	"testing"
	"testing/synctest"
	"time"
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
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Errorf("noop after %v, want 100ms", d)
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
		poll := f.polling(sid)
		c := f.probe(sid)
		c.send("5")
		(<-poll).want(t, 200, "1")
		f.session().s.Send(NewText([]byte("a")))
		c.want("4a")
	})
}

// Whatever goes wrong with the probing WebSocket, the session polls on.
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

// A poll that was pending at the switch, and whose answer the client does not take, is none of the session's business.
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
