package engineio

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bubble runs a test of a server on in-memory connections in fake time.
func bubble(t *testing.T, cfg Config, test func(t *testing.T, f *fixture)) {
	synctest.Test(t, func(t *testing.T) { test(t, serve(t, cfg)) })
}

func TestHandshakeOverPolling(t *testing.T) {
	f := serve(t, Config{
		NewSID:        func(*http.Request) (string, error) { return "lv_VI97HAXpY6yYWAAAB", nil },
		InitialPacket: NewText([]byte("hello")),
	})
	a := f.do("GET", "EIO=4&transport=polling&t=abc", "")
	a.want(t, 200, `0{"sid":"lv_VI97HAXpY6yYWAAAB","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`+"\x1e4hello")
	for name, want := range map[string]string{
		"Content-Type": "text/plain; charset=UTF-8", "Cache-Control": "no-store",
		"Content-Length": sprint(len(a.body)), "Set-Cookie": "", "X-Xss-Protection": "", "Access-Control-Allow-Origin": "",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	s := f.session().s
	if s.ID() != "lv_VI97HAXpY6yYWAAAB" || s.Transport() != Polling || f.srv.Len() != 1 {
		t.Errorf("session %q over %s, %d live", s.ID(), s.Transport(), f.srv.Len())
	}
	if s.Request().URL.Query().Get("t") != "abc" || s.RemoteAddr() != s.Request().RemoteAddr {
		t.Errorf("request %v", s.Request().URL)
	}
	if s.Request().Context().Err() != nil {
		t.Error("the kept request's context has ended with its handler")
	}
	for got := range f.srv.Sessions() {
		if got != s {
			t.Error("Sessions yields another session")
		}
	}
	// The sid is taken now: whoever chose it twice is told to try again.
	f.do("GET", "EIO=4&transport=polling", "").want(t, 503, "")
}

func TestUpgradesOffered(t *testing.T) {
	for want, cfg := range map[string]Config{
		`["websocket"]`: {},
		`[]`:            {DisallowUpgrades: true},
		`[] `:           {Transports: []string{Polling}},
	} {
		f := serve(t, cfg)
		if a := f.do("GET", "EIO=4&transport=polling", ""); !strings.Contains(a.body, `"upgrades":`+strings.TrimSpace(want)) {
			t.Errorf("open packet %s", a.body)
		}
	}
}

func TestMessagesBothWays(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		a := f.post(sid, "4hello\x1ebAQID\x1e4\u20ac\x1e0\x1e5\x1e6")
		a.want(t, 200, "ok")
		if a.header.Get("Content-Type") != "text/html" || a.header.Get("Content-Length") != "2" || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", a.header)
		}
		for _, want := range []string{"hello", "b:\x01\x02\x03", "\u20ac"} {
			r.wantMessage(t, want)
		}
		if len(r.idles) != 1 {
			t.Errorf("Idle was called %d times, want once", len(r.idles))
		}
		// Packets sent between polls wait; a pending poll takes the first one.
		r.s.Send(NewText([]byte("a")), NewBinary([]byte{255}))
		r.s.Send(NewText([]byte("b")))
		f.poll(sid).want(t, 200, "4a\x1eb/w==\x1e4b")
		poll := f.polling(sid)
		r.s.Send(NewText([]byte("c")))
		r.s.Send(NewText([]byte("d")))
		(<-poll).want(t, 200, "4c")
		f.poll(sid).want(t, 200, "4d")
	})
}

func TestEchoLeavesBeforeOK(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		poll := f.polling(sid)
		f.post(sid, "4echo:1\x1e4echo:2").want(t, 200, "ok")
		synctest.Wait()
		select {
		case a := <-poll:
			a.want(t, 200, "4echo:1\x1e4echo:2") // what one read causes leaves together
		default:
			t.Error("the poll is still pending")
		}
	})
}

func TestPollPacketsBounded(t *testing.T) {
	bubble(t, Config{MaxPollPackets: 2}, func(t *testing.T, f *fixture) {
		sid := f.open()
		s := f.session().s
		for _, m := range "abc" {
			s.Send(NewText([]byte(string(m))))
		}
		f.poll(sid).want(t, 200, "4a\x1e4b")
		f.poll(sid).want(t, 200, "4c")
		s.Send(NewText([]byte("d")))
		s.Send(NewText([]byte("e")))
		s.Close()
		f.poll(sid).want(t, 200, "4d\x1e4e\x1e1") // there is no next poll
	})
}

func TestInvalidPayloads(t *testing.T) {
	for _, c := range []struct {
		body     string
		messages []string
		reason   string
	}{
		{"", nil, ParseError},
		{"x", nil, ParseError},
		{"7", nil, ParseError},
		{"4a\x1e", []string{"a"}, ParseError},
		{"4a\x1ex\x1e4b", []string{"a"}, ParseError},
		{"4a\x1e2\x1e4b", []string{"a"}, TransportError},
		{"4a\x1e1\x1e4b", []string{"a"}, TransportClose},
		{"1\x1ex", nil, TransportClose},
	} {
		t.Run(fmt.Sprintf("%q", c.body), func(t *testing.T) {
			bubble(t, Config{}, func(t *testing.T, f *fixture) {
				sid := f.open()
				r := f.session()
				f.post(sid, c.body).want(t, 200, "ok")
				r.wantClosed(t, c.reason)
				for _, want := range c.messages {
					r.wantMessage(t, want)
				}
				if len(r.messages) > 0 {
					t.Errorf("%d messages too many", len(r.messages))
				}
				f.post(sid, "4x").want(t, 400, `{"code":1,"message":"Session ID unknown"}`)
				if err := r.s.Send(NewText(nil)); err != ErrClosed {
					t.Errorf("Send after the end: %v", err)
				}
				if r.s.SendVolatile(NewText(nil)) {
					t.Error("SendVolatile after the end")
				}
			})
		})
	}
}

// A pending poll gets an answer when the session ends.
func TestPendingPollAtTheEnd(t *testing.T) {
	for _, c := range []struct{ body, want, reason string }{
		{"1", "6", TransportClose},
		{"x", "1", ParseError},
		{"2", "1", TransportError},
	} {
		bubble(t, Config{}, func(t *testing.T, f *fixture) {
			sid := f.open()
			r := f.session()
			poll := f.polling(sid)
			f.post(sid, c.body).want(t, 200, "ok")
			(<-poll).want(t, 200, c.want)
			r.wantClosed(t, c.reason)
		})
	}
}

func TestInvalidUTF8IsReplaced(t *testing.T) {
	f := serve(t, Config{})
	sid := f.open()
	f.post(sid, "4a\xffb").want(t, 200, "ok")
	f.session().wantMessage(t, "a\ufffdb")
}

func TestOtherMethods(t *testing.T) {
	for _, method := range []string{"PUT", "DELETE", "OPTIONS", "HEAD"} {
		f := serve(t, Config{})
		sid := f.open()
		f.do(method, "EIO=4&transport=polling&sid="+sid, "").want(t, 500, "")
		f.post(sid, "4lives").want(t, 200, "ok")
		f.session().wantMessage(t, "lives")
		f.stop()
	}
}

func TestPostLimit(t *testing.T) {
	bubble(t, Config{MaxHTTPBufferSize: 100}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		f.post(sid, "4"+strings.Repeat("a", 99)).want(t, 200, "ok")
		f.post(sid, "4"+strings.Repeat("a", 100)).want(t, 413, "")
		f.post(sid, "4"+strings.Repeat("\u20ac", 33)).want(t, 200, "ok") // 100 bytes
		f.post(sid, "4b").want(t, 200, "ok")
		r.wantMessage(t, strings.Repeat("a", 99))
		r.wantMessage(t, strings.Repeat("\u20ac", 33))
		r.wantMessage(t, "b")
	})
}

func TestOctetStreamIsRefused(t *testing.T) {
	f := serve(t, Config{})
	sid := f.open()
	f.do("POST", "EIO=4&transport=polling&sid="+sid, "4a", "Content-Type", "application/octet-stream").want(t, 400, "")
	f.session().wantClosed(t, TransportError)
}

func TestOverlappingPolls(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		first := f.polling(sid)
		f.poll(sid).want(t, 400, "")
		(<-first).want(t, 200, "1")
		r.wantClosed(t, TransportError)
		f.poll(sid).want(t, 400, `{"code":1,"message":"Session ID unknown"}`)
	})
}

func TestOverlappingPosts(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		slow := f.dial()
		defer slow.Close()
		io.WriteString(slow, "POST /engine.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n4abc")
		synctest.Wait()
		f.post(sid, "4x").want(t, 400, "")
		if b, err := bufio.NewReader(slow).ReadByte(); err == nil {
			t.Errorf("the first post was answered, %q", b)
		}
		r.wantClosed(t, TransportError)
	})
}

func TestAbortedRequests(t *testing.T) {
	for _, head := range []string{
		"GET /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: test\r\n\r\n",
		"POST /engine.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n4abc",
	} {
		bubble(t, Config{}, func(t *testing.T, f *fixture) {
			sid := f.open()
			r := f.session()
			c := f.dial()
			fmt.Fprintf(c, head, sid)
			synctest.Wait()
			c.Close()
			r.wantClosed(t, TransportError)
		})
	}
}

func TestCloseWithAPollPending(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		poll := f.polling(sid)
		r.s.Close()
		(<-poll).want(t, 200, "1")
		r.wantClosed(t, ForcedClose)
	})
}

func TestCloseBetweenPolls(t *testing.T) {
	for buffered, want := range map[string]string{"": "6\x1e1", "x": "4x\x1e1"} {
		bubble(t, Config{}, func(t *testing.T, f *fixture) {
			sid := f.open()
			r := f.session()
			if buffered != "" {
				r.s.Send(NewText([]byte(buffered)))
			}
			r.s.Close()
			if err := r.s.Send(NewText(nil)); err != ErrClosed {
				t.Errorf("Send: %v", err)
			}
			f.post(sid, "4ignored").want(t, 200, "ok") // still known
			f.poll(sid).want(t, 200, want)
			r.wantClosed(t, ForcedClose)
			if len(r.messages) != 0 {
				t.Error("a closing session received something")
			}
			f.poll(sid).want(t, 400, `{"code":1,"message":"Session ID unknown"}`)
		})
	}
}

func TestCloseWithoutAnotherPoll(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		f.open()
		r := f.session()
		start := time.Now()
		r.s.Close()
		r.wantClosed(t, ForcedClose)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("closed after %v, want 30s", d)
		}
		if f.srv.Len() != 0 {
			t.Error("the session is still there")
		}
	})
}

func TestCorkGathers(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		s := f.session().s
		poll := f.polling(sid)
		s.Cork()
		s.Cork()
		s.Send(NewText([]byte("a")))
		s.Uncork()
		s.Send(NewText([]byte("b")))
		s.Uncork()
		(<-poll).want(t, 200, "4a\x1e4b")
	})
}

func TestVolatileNeedsAPendingPoll(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		sid := f.open()
		s := f.session().s
		if s.SendVolatile(NewText([]byte("a"))) {
			t.Error("sent without a poll")
		}
		poll := f.polling(sid)
		if !s.SendVolatile(NewText([]byte("b"))) {
			t.Error("not sent though a poll was pending")
		}
		(<-poll).want(t, 200, "4b")
	})
}

func TestSlowPollingClient(t *testing.T) {
	bubble(t, Config{MaxQueueBytes: 1000}, func(t *testing.T, f *fixture) {
		f.open()
		r := f.session()
		if err := r.s.Send(NewText(make([]byte, 5000))); err != nil {
			t.Errorf("a single large message: %v", err)
		}
		if err := r.s.Send(NewText([]byte("one more"))); err != ErrSlowClient {
			t.Errorf("beyond the limit: %v", err)
		}
		r.wantClosed(t, TransportError)
		if r.err != ErrSlowClient {
			t.Errorf("closed with %v", r.err)
		}
	})
}

// A limit that costs a client its session, or a post, is counted and logged by its name.
func TestLimitsAreNamed(t *testing.T) {
	registry := prometheus.NewRegistry()
	var lines bytes.Buffer
	bubble(t, Config{MaxHTTPBufferSize: 100, MaxQueueBytes: 1000, Metrics: registry, Log: slog.New(slog.NewTextHandler(&lines, nil))}, func(t *testing.T, f *fixture) {
		sid := f.open()
		r := f.session()
		f.post(sid, "4"+strings.Repeat("a", 100)).want(t, 413, "")
		_ = r.s.Send(NewText(make([]byte, 5000)), NewText(make([]byte, 5000)))
		r.wantClosed(t, TransportError)
	})
	for _, want := range []string{
		"post refused: the client exceeded a limit\" limit=MaxHTTPBufferSize most=100 ", "session closed: the client exceeded a limit\" limit=MaxQueueBytes most=1000 ",
	} {
		if !strings.Contains(lines.String(), want) {
			t.Errorf("%s isn't in %s", want, lines.String())
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "sidereal_engine_limits_total" {
				counted[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if counted[limitMessage] != 1 || counted[limitQueue] != 1 {
		t.Errorf("counted %v", counted)
	}
}

func TestHooksAndCookie(t *testing.T) {
	var calls []string
	f := serve(t, Config{
		NewSID: func(*http.Request) (string, error) { return "abc", nil },
		Cookie: &Cookie{},
		InitialHeaders: func(h http.Header, r *http.Request) {
			calls = append(calls, "initial "+r.Method)
			h.Set("X-Initial", "1")
		},
		Headers: func(h http.Header, r *http.Request) {
			calls = append(calls, "headers "+r.Method)
			h.Set("X-Each", "1")
		},
	})
	a := f.do("GET", "EIO=4&transport=polling", "")
	if got := a.header.Get("Set-Cookie"); got != "io=abc; Path=/; HttpOnly; SameSite=Lax" {
		t.Errorf("cookie %q", got)
	}
	if a.header.Get("X-Initial") != "1" || a.header.Get("X-Each") != "1" {
		t.Errorf("headers %v", a.header)
	}
	a = f.post("abc", "4x")
	if a.header.Get("X-Initial") != "" || a.header.Get("X-Each") != "1" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("headers %v", a.header)
	}
	if want := "[initial GET headers GET headers POST]"; fmt.Sprint(calls) != want {
		t.Errorf("calls %v, want %s", calls, want)
	}
}

func TestCookieAttributes(t *testing.T) {
	c := Cookie{Name: "n", Path: "/p", Domain: "d", MaxAge: time.Minute, Secure: true, SameSite: http.SameSiteNoneMode, Readable: true}
	if got, want := c.header("s"), "n=s; Max-Age=60; Domain=d; Path=/p; Secure; SameSite=None"; got != want {
		t.Errorf("cookie %q, want %q", got, want)
	}
}

func TestOldInternetExplorer(t *testing.T) {
	f := serve(t, Config{})
	for ua, want := range map[string]string{"Mozilla/4.0 (compatible;MSIE 8.0)": "0", "x Trident/7.0": "0", "Firefox": ""} {
		a := f.do("GET", "EIO=4&transport=polling", "", "User-Agent", ua)
		if got := a.header.Get("X-XSS-Protection"); got != want {
			t.Errorf("%s: X-XSS-Protection %q, want %q", ua, got, want)
		}
	}
}

func TestJSONP(t *testing.T) {
	bubble(t, Config{NewSID: func(*http.Request) (string, error) { return "abc", nil }}, func(t *testing.T, f *fixture) {
		a := f.do("GET", "EIO=4&transport=polling&j=1<x>2", "")
		a.want(t, 200, `___eio[12]("0{\"sid\":\"abc\",\"upgrades\":[\"websocket\"],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}");`)
		if got := a.header.Get("Content-Type"); got != "text/plain; charset=UTF-8" {
			t.Errorf("Content-Type %q", got)
		}
		r := f.session()
		f.do("POST", "EIO=4&transport=polling&sid=abc", `d=4a%5Cnb%5C%5Cnc%26`).want(t, 200, "ok")
		r.wantMessage(t, "a\nb\\nc&")
		r.s.Send(NewText([]byte("<\u2028>")))
		f.poll("abc").want(t, 200, `___eio[12]("4<\u2028>");`)
	})
}

// rawPoll makes a pending poll on a connection that nobody reads. It needs a synctest bubble.
func (f *fixture) rawPoll(sid string) net.Conn {
	f.t.Helper()
	c := f.dial()
	f.t.Cleanup(func() { c.Close() })
	go io.WriteString(c, "GET /engine.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: test\r\n\r\n")
	synctest.Wait()
	return c
}

// A client that does not take its poll's answer keeps neither a goroutine nor what was to be sent.
func TestPollThatIsNotRead(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		start := time.Now()
		sid := f.open()
		r := f.session()
		c := f.rawPoll(sid)
		r.s.Send(NewText(make([]byte, 1<<20)))
		<-r.closed // by the ping timeout or by the write's
		if d := time.Since(start); d != 45*time.Second {
			t.Errorf("closed after %v, want 45s", d)
		}
		time.Sleep(time.Second)
		if b, err := io.ReadAll(c); len(b) > 4096 {
			t.Errorf("read %d bytes, %v; want the connection cut", len(b), err)
		}
	})
}

// A post that never ends outlives its session by as long as a closing session waits for a poll.
func TestPostThatNeverEnds(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, f *fixture) {
		start := time.Now()
		sid := f.open()
		c := f.dial()
		defer c.Close()
		io.WriteString(c, "POST /engine.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n4begun")
		f.session().wantClosed(t, PingTimeout)
		if b, err := io.ReadAll(c); len(b) > 0 {
			t.Errorf("read %q, %v; want the connection cut", b, err)
		}
		if d := time.Since(start); d != 45*time.Second+closeTimeout {
			t.Errorf("cut after %v, want 75s", d)
		}
	})
}

func TestRequestsThatAreNoUpgrades(t *testing.T) {
	f := serve(t, Config{})
	f.websocket("")
	sid := f.session().s.ID()
	for _, method := range []string{"GET", "POST"} {
		f.do(method, wsQuery+sid, "4x").want(t, 400, "")
	}
}

// Ids that would leave their place in the open packet or the cookie are refused.
func TestSIDsThatNeedEscaping(t *testing.T) {
	var sid string
	f := serve(t, Config{NewSID: func(*http.Request) (string, error) { return sid, nil }})
	for _, sid = range []string{"", `a"`, `a\`, "a b", "a\r\nb", "a;b", "a,b", "\u00e9", "\x7f"} {
		f.do("GET", "EIO=4&transport=polling", "").want(t, 400, `{"code":3,"message":"Bad request"}`)
	}
	sid = "worker-1/_~:=.ok"
	if got := f.open(); got != sid {
		t.Errorf("sid %q", got)
	}
}
