package engineio

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// numbered is the query of a session's request with a number t.
func numbered(sid, t string) string { return "EIO=4&transport=polling&sid=" + sid + "&t=" + t }

// elsewhere has the next request come over another connection, as one that a proxy repeats does.
func (f *fixture) elsewhere() { f.client.CloseIdleConnections() }

// pending sends a request that is under way when it returns, and gives the connection.
func (f *fixture) pending(request string) io.ReadCloser {
	f.t.Helper()
	c := f.dial()
	f.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		f.t.Fatal(err)
	}
	synctest.Wait()
	return c
}

func (f *fixture) wantRepeats(t *testing.T, polls, posts float64) {
	t.Helper()
	m := f.srv.metrics
	if got, more := testutil.ToFloat64(m.repeatedPolls), testutil.ToFloat64(m.repeatedPosts); got != polls || more != posts {
		t.Errorf("%v polls and %v posts were counted as repeated, want %v and %v", got, more, polls, posts)
	}
}

// TestRepeatedPoll: the answer of a poll was lost on its way to the client, and the proxy asks
// again.
func TestRepeatedPoll(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		s := f.session().s
		s.Send(NewText([]byte("a")), NewBinary([]byte{255}))
		f.do("GET", numbered(sid, "1"), "").want(t, 200, "4a\x1eb/w==")
		s.Send(NewText([]byte("b")))
		for range 3 { // also a copy may be lost
			f.elsewhere()
			f.do("GET", numbered(sid, "1"), "").want(t, 200, "4a\x1eb/w==")
		}
		f.wantRepeats(t, 3, 0)
		f.elsewhere()
		f.do("GET", numbered(sid, "2"), "").want(t, 200, "4b")
		f.wantRepeats(t, 3, 0)
	})
}

// TestRepeatedPendingPoll: the router that held a poll is gone, and the connection to it isn't yet
// known to be. The copy gets what comes.
func TestRepeatedPendingPoll(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		first := f.pending("GET /engine.io/?" + numbered(sid, "1") + " HTTP/1.1\r\nHost: test\r\n\r\n")
		second := make(chan *answer, 1)
		go func() { second <- f.do("GET", numbered(sid, "1"), "") }()
		synctest.Wait()
		resp, err := http.ReadResponse(bufio.NewReader(first), nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "6" {
			t.Errorf("the first poll was answered %q, %v, want a noop", b, err)
		}
		first.Close() // is nobody's loss
		synctest.Wait()
		r.s.Send(NewText([]byte("a")))
		(<-second).want(t, 200, "4a")
		f.do("POST", numbered(sid, "2"), "4x").want(t, 200, "ok")
		r.wantMessage(t, "x")
		f.wantRepeats(t, 1, 0)
	})
}

// TestPollCutAfterItsCopy: the connection of an answered poll ends after its copy was answered.
func TestPollCutAfterItsCopy(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		r.s.Send(NewText(make([]byte, 100_000))) // more than a pipe takes
		first := f.pending("GET /engine.io/?" + numbered(sid, "1") + " HTTP/1.1\r\nHost: test\r\n\r\n")
		if a := f.do("GET", numbered(sid, "1"), ""); a.status != 200 || len(a.body) != 100_001 {
			t.Errorf("the copy got %d, %d bytes", a.status, len(a.body))
		}
		first.Close()
		synctest.Wait()
		r.s.Send(NewText([]byte("b")))
		f.do("GET", numbered(sid, "2"), "").want(t, 200, "4b")
	})
}

// TestRepeatedPost: a post is handled once, however often it comes.
func TestRepeatedPost(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		for range 3 {
			f.do("POST", numbered(sid, "1"), "4a").want(t, 200, "ok")
			f.elsewhere()
		}
		f.do("POST", numbered(sid, "2"), "4b").want(t, 200, "ok")
		r.wantMessage(t, "a")
		r.wantMessage(t, "b")
		if len(r.messages) != 0 {
			t.Errorf("%d messages too many", len(r.messages))
		}
		f.wantRepeats(t, 0, 2)
	})
}

// TestRepeatedPostUnderWay: the copy of a post whose body doesn't come on takes its place.
func TestRepeatedPostUnderWay(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		slow := f.pending("POST /engine.io/?" + numbered(sid, "1") + " HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n4abc")
		f.do("POST", numbered(sid, "1"), "4abcdefghi").want(t, 200, "ok")
		if b, err := bufio.NewReader(slow).ReadByte(); err == nil {
			t.Errorf("the first post was answered, %q", b)
		}
		r.wantMessage(t, "abcdefghi")
		f.do("POST", numbered(sid, "2"), "4b").want(t, 200, "ok")
		r.wantMessage(t, "b")
		f.wantRepeats(t, 0, 1)
	})
}

// TestNotRepeated has requests that look like copies and are none, or can't be known to be.
func TestNotRepeated(t *testing.T) {
	for _, c := range []struct{ name, handshake, first, second, third, fourth string }{
		{"no t", "", "", "", "", ""},
		{"another t", "&t=0", "&t=1", "&t=2", "&t=3", "&t=4"},
		{"a client that doesn't count", "&t=0", "&t=0", "&t=0", "&t=0", "&t=0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, f *fixture) {
				f.do("GET", "EIO=4&transport=polling"+c.handshake, "")
				r := f.session()
				base := "EIO=4&transport=polling&sid=" + r.s.ID()
				for i, number := range []string{c.first, c.second} {
					text := fmt.Sprint(i)
					r.s.Send(NewText([]byte(text)))
					f.do("GET", base+number, "").want(t, 200, "4"+text)
					f.do("POST", base+number, "4"+text).want(t, 200, "ok")
					r.wantMessage(t, text)
					f.elsewhere()
				}
				pending := f.pending("GET /engine.io/?" + base + c.third + " HTTP/1.1\r\nHost: test\r\n\r\n")
				defer pending.Close()
				f.do("GET", base+c.fourth, "").want(t, 400, "")
				r.wantClosed(t, TransportError)
				f.wantRepeats(t, 0, 0)
			})
		})
	}
}

// TestOneTForAll: a client whose requests all have one t is served on its own connection.
func TestOneTForAll(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		for i := range 3 {
			text := fmt.Sprint(i)
			r.s.Send(NewText([]byte(text)))
			f.do("GET", numbered(sid, "1"), "").want(t, 200, "4"+text)
			f.do("POST", numbered(sid, "1"), "4"+text).want(t, 200, "ok")
			r.wantMessage(t, text)
		}
		f.wantRepeats(t, 0, 0)
	})
}

// TestKeptAnswerIsBounded: one answer is kept at most, and none once the next poll is there.
func TestKeptAnswerIsBounded(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		kept := func() (bytes int) {
			r.s.mu.Lock()
			defer r.s.mu.Unlock()
			if p := r.s.polling.answered; p != nil {
				bytes = p.size()
			}
			return bytes
		}
		for i := range 3 {
			r.s.Send(NewText([]byte(strings.Repeat("x", 1000))))
			f.do("GET", numbered(sid, fmt.Sprint(i)), "")
			if n := kept(); n != 1002 {
				t.Errorf("%d bytes are kept after an answer", n)
			}
		}
		f.pending("GET /engine.io/?" + numbered(sid, "next") + " HTTP/1.1\r\nHost: test\r\n\r\n")
		if n := kept(); n != 0 {
			t.Errorf("%d bytes are kept while a poll waits", n)
		}
	})
}

// routed is the response to a request that came over a router, whose connection is cut by cut.
type routed struct {
	*httptest.ResponseRecorder
	relay  string
	left   bool // the router says that its client left
	broken bool // nothing can be written
	over   chan struct{}
	cut    context.CancelFunc
}

func (w *routed) Relay() string    { return w.relay }
func (w *routed) ClientLeft() bool { return w.left }

func (w *routed) Write(b []byte) (int, error) {
	if w.broken {
		return 0, io.ErrClosedPipe
	}
	return w.ResponseRecorder.Write(b)
}

// route sends a request over the router "a" and returns while it is under way, or after its answer.
func (f *fixture) route(w routed, method, query string, body io.Reader) *routed {
	f.t.Helper()
	w.ResponseRecorder, w.over, w.relay = httptest.NewRecorder(), make(chan struct{}), cmp.Or(w.relay, "a")
	ctx, cancel := context.WithCancel(f.t.Context())
	w.cut = cancel
	r := httptest.NewRequestWithContext(ctx, method, "/engine.io/?"+query, body)
	go func() {
		defer close(w.over)
		defer func() {
			if what := recover(); what != nil && what != http.ErrAbortHandler {
				panic(what)
			}
		}()
		f.srv.ServeHTTP(&w, r)
	}()
	synctest.Wait()
	return &w
}

// wantInterrupted compares the number of sessions that wait for a copy.
func (f *fixture) wantInterrupted(n float64) {
	f.t.Helper()
	synctest.Wait()
	if got := testutil.ToFloat64(f.srv.metrics.interrupted); got != n {
		f.t.Errorf("%v sessions wait for a copy, want %v", got, n)
	}
}

// TestRouterDiesWithAPoll: the session waits for the copy, keeps what is sent meanwhile, and asks
// at once whether its client is there.
func TestRouterDiesWithAPoll(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		f.route(routed{}, "GET", numbered(sid, "1"), nil).cut()
		f.wantInterrupted(1)
		r.s.Send(NewText([]byte("a")))
		f.do("GET", numbered(sid, "1"), "").want(t, 200, "2\x1e4a")
		f.wantInterrupted(0)
		f.do("POST", numbered(sid, "2"), "3").want(t, 200, "ok")
		time.Sleep(f.srv.cfg.PingInterval - time.Second)
		r.s.Send(NewText([]byte("b")))
		f.do("GET", numbered(sid, "3"), "").want(t, 200, "4b")
	})
}

// TestInterruptedSessionEnds: without a client, PingTimeout later at the latest.
func TestInterruptedSessionEnds(t *testing.T) {
	for name, before := range map[string]time.Duration{
		"between two pings": 10 * time.Second, "while a ping is out": 30 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, f *fixture) {
				sid := f.open()
				r := f.session()
				time.Sleep(before)
				w := f.route(routed{}, "GET", numbered(sid, "1"), nil)
				if before > f.srv.cfg.PingInterval { // the first poll has brought the ping
					w = f.route(routed{}, "GET", numbered(sid, "2"), nil)
				}
				w.cut()
				f.wantInterrupted(1)
				begin := time.Now()
				r.wantClosed(t, PingTimeout)
				want := min(f.srv.cfg.PingTimeout, f.srv.cfg.PingInterval+f.srv.cfg.PingTimeout-before)
				if took := time.Since(begin); took > want+time.Second || took < want-time.Second {
					t.Errorf("it took %v, want %v", took, want)
				}
				f.wantInterrupted(0)
			})
		})
	}
}

// TestInterruptionsAddNothing: a client whose requests break off again and again, but that never
// shows itself, lives no longer for it.
func TestInterruptionsAddNothing(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		begin := time.Now()
		for i := 0; len(r.closed) == 0; i++ {
			f.route(routed{}, "POST", numbered(sid, fmt.Sprint("p", i)), iotest.ErrReader(io.ErrUnexpectedEOF))
			f.route(routed{}, "GET", numbered(sid, fmt.Sprint("g", i)), nil).cut()
			time.Sleep(time.Second)
			if i > 100 {
				t.Fatal("it lives on")
			}
		}
		r.wantClosed(t, PingTimeout)
		if most := f.srv.cfg.PingTimeout + 2*time.Second; time.Since(begin) > most {
			t.Errorf("it lived for %v, want at most %v", time.Since(begin), most)
		}
		f.wantInterrupted(0)
	})
}

// TestEndsThatAreClients: the session ends at once where the client has left, or may have.
func TestEndsThatAreClients(t *testing.T) {
	for name, cut := range map[string]func(f *fixture, s *Session){
		"the router says so": func(f *fixture, s *Session) {
			f.route(routed{left: true}, "GET", numbered(s.id, "1"), nil).cut()
		},
		"an answer without a number is lost": func(f *fixture, s *Session) {
			s.Send(NewText([]byte("a")))
			f.route(routed{broken: true}, "GET", "EIO=4&transport=polling&sid="+s.id, nil)
		},
		"a post comes too slowly": func(f *fixture, s *Session) {
			f.route(routed{}, "POST", numbered(s.id, "1"), iotest.ErrReader(os.ErrDeadlineExceeded))
		},
		"the router says so of a post": func(f *fixture, s *Session) {
			f.route(routed{left: true}, "POST", numbered(s.id, "1"), iotest.ErrReader(io.ErrUnexpectedEOF))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, f *fixture) {
				f.open()
				r := f.session()
				begin := time.Now()
				cut(f, r.s)
				r.wantClosed(t, TransportError)
				if time.Since(begin) > 0 {
					t.Errorf("after %v", time.Since(begin))
				}
				f.wantInterrupted(0)
			})
		})
	}
}

// TestRouterDiesWithAnAnswer: the copy gets the same answer, and then the rest.
func TestRouterDiesWithAnAnswer(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		s := f.session().s
		s.Send(NewText([]byte("a")))
		f.route(routed{broken: true}, "GET", numbered(sid, "1"), nil)
		f.wantInterrupted(1)
		s.Send(NewText([]byte("b")))
		f.do("GET", numbered(sid, "1"), "").want(t, 200, "4a")
		f.wantInterrupted(0)
		f.do("GET", numbered(sid, "2"), "").want(t, 200, "2\x1e4b")
	})
}

// TestRouterDiesWithinAPost: nothing was handed on, so the copy is, with a number or without.
func TestRouterDiesWithinAPost(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		for _, query := range []string{numbered(sid, "1"), "EIO=4&transport=polling&sid=" + sid} {
			broken := io.MultiReader(strings.NewReader("4ab"), iotest.ErrReader(io.ErrUnexpectedEOF))
			f.route(routed{}, "POST", query, broken)
			f.wantInterrupted(1)
			f.do("POST", query, "4abc").want(t, 200, "ok")
			r.wantMessage(t, "abc")
			f.wantInterrupted(0)
		}
		if len(r.messages) > 0 || len(r.closed) > 0 {
			t.Errorf("%d messages too many, %d ends", len(r.messages), len(r.closed))
		}
	})
}

// TestLateRequest: what a dead router sent arrives after the copy was served, and the next request
// too. The poll takes nothing, and the post isn't handled.
func TestLateRequest(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		for _, number := range []string{"1", "2"} {
			r.s.Send(NewText([]byte(number)))
			f.do("GET", numbered(sid, "g"+number), "").want(t, 200, "4"+number)
			f.do("POST", numbered(sid, "p"+number), "4"+number).want(t, 200, "ok")
			r.wantMessage(t, number)
		}
		r.s.Send(NewText([]byte("3")))
		if late := f.route(routed{}, "GET", numbered(sid, "g1"), nil); late.Body.String() != "6" {
			t.Errorf("the late poll got %q", late.Body)
		}
		if late := f.route(routed{}, "POST", numbered(sid, "p1"), strings.NewReader("41")); late.Body.String() != "ok" {
			t.Errorf("the late post got %q", late.Body)
		}
		f.do("GET", numbered(sid, "g3"), "").want(t, 200, "43")
		pending := f.route(routed{relay: "b"}, "GET", numbered(sid, "g4"), nil)
		f.route(routed{}, "GET", numbered(sid, "g2"), nil) // beside one that waits
		r.s.Send(NewText([]byte("4")))
		if <-pending.over; pending.Body.String() != "44" {
			t.Errorf("the poll beside it got %q", pending.Body)
		}
		if len(r.messages) > 0 || len(r.closed) > 0 {
			t.Errorf("%d messages too many, %d ends", len(r.messages), len(r.closed))
		}
		f.wantRepeats(t, 2, 1)
	})
}

// TestInterruptedSessionUpgrades: the WebSocket takes over what waits.
func TestInterruptedSessionUpgrades(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		s := f.session().s
		f.route(routed{}, "GET", numbered(sid, "1"), nil).cut()
		f.wantInterrupted(1)
		ws, _ := f.upgrade("EIO=4&transport=websocket&sid="+sid, "")
		ws.send("2probe")
		ws.want("3probe")
		s.Send(NewText([]byte("a")))
		ws.send("5")
		ws.want("2")
		ws.want("4a")
		f.wantInterrupted(0)
	})
}
