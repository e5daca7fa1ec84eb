package socketio_test

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

var (
	offsetIn  = regexp.MustCompile(`,?"([0-9a-z]{6,})"\]`)
	sessionIn = regexp.MustCompile(`^0\{"sid":"([\w-]{20})","pid":"([\w-]{20})"\}$`)
)

// numbered checks an event but for its offset, which it returns.
func numbered(t *testing.T, p *peer.Peer, want string) string {
	t.Helper()
	got := p.Next()
	m := offsetIn.FindStringSubmatch(got)
	if m == nil || strings.Replace(got, m[0], "]", 1) != want {
		t.Fatalf("got %q, want %q with an offset", got, want)
	}
	return m[1]
}

func session(t *testing.T, p *peer.Peer) (sid, pid string) {
	t.Helper()
	got := p.Next()
	m := sessionIn.FindStringSubmatch(got)
	if m == nil {
		t.Fatalf("got %q, want a CONNECT with sid and pid", got)
	}
	return m[1], m[2]
}

func TestRecovery(t *testing.T) {
	middlewares := 0
	value := socketio.NewKey[string]("v")
	app := func(io *socketio.Server) {
		io.Share(value)
		io.Use(func(context.Context, *socketio.Socket) error { middlewares++; return nil })
		io.On("set", func(s *socketio.Socket, v, room string) error { s.Join(room); return value.Set(s, v) })
		io.On("hi", func(s *socketio.Socket) { s.Emit("hi") })
		io.On("bye", func(s *socketio.Socket) { s.Disconnect(false) })
		io.OnConnect(func(s *socketio.Socket) {
			if s.Recovered() {
				v, _ := value.Get(s)
				s.Emit("recovered", v, s.Rooms()[1:])
			}
		})
	}
	serve(t, socketio.Config{Recovery: &socketio.Recovery{MaxDisconnection: time.Second}}, app, func(t *testing.T, h *peer.Host) {
		p := h.Dial("")
		p.Send("0")
		sid, pid := session(t, p)
		p.Send(`20["set","value","room"]`)
		p.Want(`30[]`)
		p.Send(`2["hi"]`)
		numbered(t, p, `2["hi"]`)
		h.IO.To("room").Emit("seen", []byte("x"))
		offset := numbered(t, p, `51-["seen",{"_placeholder":true,"num":0}]`)
		p.Want("b:x")
		synctest.Wait()
		h.IO.Volatile().Emit("volatile")
		p.Want(`2["volatile"]`)
		p.Cut()
		synctest.Wait()

		h.IO.To("room").Emit("missed", 1, []byte("y"))
		h.IO.Emit("missed", 2)
		h.IO.To(sid).Emit("missed", 3)
		h.IO.To("elsewhere").Emit("not for it")
		h.IO.Except("room").Emit("not for it")
		h.IO.Volatile().Emit("volatile")

		q := h.Dial("")
		q.Send(`0{"pid":"` + pid + `","offset":"` + offset + `"}`)
		numbered(t, q, `51-["missed",1,{"_placeholder":true,"num":0}]`)
		q.Want("b:y")
		numbered(t, q, `2["missed",2]`)
		numbered(t, q, `2["missed",3]`)
		if again, samePID := session(t, q); again != sid || samePID != pid {
			t.Errorf("came back as %s, %s; was %s, %s", again, samePID, sid, pid)
		}
		numbered(t, q, `2["recovered","value",["room"]]`)
		if middlewares != 1 {
			t.Errorf("middlewares ran %d times", middlewares)
		}
		h.IO.To("room").Emit("live")
		last := numbered(t, q, `2["live"]`)
		q.Cut()
		synctest.Wait()

		fresh := func(auth string) {
			t.Helper()
			r := h.Dial("")
			r.Send("0" + auth)
			if other, otherPID := session(t, r); other == sid || otherPID == pid {
				t.Errorf("%s was restored", auth)
			}
			r.Send("1")
			r.Cut()
		}
		fresh(`{"pid":"` + pid + `"}`)
		fresh(`{"pid":"unknown","offset":"` + last + `"}`)
		fresh(`{"pid":"` + pid + `","offset":"zzzz"}`)
		fresh(`{"pid":7,"offset":"` + last + `"}`)
		time.Sleep(2 * time.Second)
		fresh(`{"pid":"` + pid + `","offset":"` + last + `"}`)

		r := h.Dial("") // a client that left, or was sent away, is not restored
		r.Send("0")
		_, pid = session(t, r)
		r.Send(`2["hi"]`)
		offset = numbered(t, r, `2["hi"]`)
		r.Send(`2["bye"]`)
		r.Want("1")
		fresh(`{"pid":"` + pid + `","offset":"` + offset + `"}`)
		time.Sleep(5 * time.Minute) // the sweep runs, and ends
	})
}

// TestEachPIDIsUsedOnce: while a client that came back is connected, and after it has left for
// good, nobody else is let in with its pid.
func TestEachPIDIsUsedOnce(t *testing.T) {
	app := func(io *socketio.Server) {
		io.On("hi", func(s *socketio.Socket) { s.Emit("hi") })
	}
	serve(t, socketio.Config{Recovery: &socketio.Recovery{}}, app, func(t *testing.T, h *peer.Host) {
		p := h.Dial("")
		p.Send("0")
		sid, pid := session(t, p)
		p.Send(`2["hi"]`)
		auth := func(offset string) string { return `0{"pid":"` + pid + `","offset":"` + offset + `"}` }
		offset := numbered(t, p, `2["hi"]`)
		p.Cut()
		synctest.Wait()
		var back *peer.Peer
		for range 3 {
			q := h.Dial("")
			q.Send(auth(offset))
			switch again, samePID := session(t, q); {
			case again == sid && samePID == pid && back == nil:
				back = q
			case again == sid || samePID == pid:
				t.Error("two sockets are the same one")
			}
		}
		if back == nil {
			t.Fatal("not recovered")
		}
		back.Cut() // and it comes back once more
		synctest.Wait()
		q := h.Dial("")
		q.Send(auth(offset))
		if again, _ := session(t, q); again != sid {
			t.Error("not recovered the second time")
		}
	})
}

// TestOffsetOfBefore: a client is not told what was said before it came, whatever it claims to have
// seen.
func TestOffsetOfBefore(t *testing.T) {
	app := func(io *socketio.Server) {
		io.On("hi", func(s *socketio.Socket) { s.Emit("hi") })
	}
	serve(t, socketio.Config{Recovery: &socketio.Recovery{}}, app, func(t *testing.T, h *peer.Host) {
		p := h.Dial("")
		p.Send("0")
		session(t, p)
		p.Send(`2["hi"]`)
		before := numbered(t, p, `2["hi"]`)
		h.IO.Emit("before it came")
		q := h.Dial("")
		q.Send("0")
		sid, pid := session(t, q)
		h.IO.Emit("since")
		numbered(t, q, `2["since"]`)
		q.Cut()
		synctest.Wait()
		q = h.Dial("")
		q.Send(`0{"pid":"` + pid + `","offset":"` + before + `"}`)
		numbered(t, q, `2["since"]`)
		if again, _ := session(t, q); again != sid {
			t.Error("not recovered")
		}
	})
}

// TestSessionInAsManyRoomsAsMayBe counts neither the room of its own id nor any room twice.
func TestSessionInAsManyRoomsAsMayBe(t *testing.T) {
	app := func(io *socketio.Server) {
		io.On("hi", func(s *socketio.Socket) { s.Emit("hi") })
		io.On("join", func(s *socketio.Socket) error { s.Join("a", "b"); return nil })
	}
	serve(t, socketio.Config{Recovery: &socketio.Recovery{}, MaxRooms: 2}, app, func(t *testing.T, h *peer.Host) {
		p := h.Dial("")
		p.Send("0")
		sid, pid := session(t, p)
		p.Send(`20["join"]`)
		p.Want("30[]")
		p.Send(`2["hi"]`)
		offset := numbered(t, p, `2["hi"]`)
		p.Cut()
		synctest.Wait()
		p = h.Dial("") // as many as it may
		p.Send(`0{"pid":"` + pid + `","offset":"` + offset + `"}`)
		if again, _ := session(t, p); again != sid {
			t.Error("not recovered")
		}
	})
}

// TestAMessageTooLargeForRecoverySaysSo holds for recovery in memory.
func TestAMessageTooLargeForRecoverySaysSo(t *testing.T) {
	var lines []string
	log := slog.New(slog.NewTextHandler(lineWriter(func(line string) {
		if strings.Contains(line, "too large") {
			lines = append(lines, line)
		}
	}), nil))
	serve(t, socketio.Config{Log: log, Recovery: &socketio.Recovery{MaxBytes: 1000}}, func(io *socketio.Server) {}, func(t *testing.T, h *peer.Host) {
		h.IO.Emit("small", strings.Repeat("x", 1000-len(`["small","",`)-len(`"12345678"]`)))
		if len(lines) > 0 {
			t.Errorf("%q", lines)
		}
		h.IO.Volatile().Emit("fleeting", strings.Repeat("x", 1000)) // is never kept
		h.IO.Emit("large", strings.Repeat("x", 1000))
	})
	if len(lines) != 1 || !strings.Contains(lines[0], "event=large size_bytes=") || !strings.Contains(lines[0], "limit_bytes=1000") {
		t.Errorf("%q", lines)
	}
}

type lineWriter func(line string)

func (f lineWriter) Write(line []byte) (int, error) { f(string(line)); return len(line), nil }
