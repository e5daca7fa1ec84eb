package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/sessioncount"
)

// talked is a conversation that a test feeds.
type talked struct {
	*conversation
	t    *testing.T
	step int // bytes at a time
}

func (v *talked) feed(follow func([]byte) error, text string) {
	v.t.Helper()
	for b := []byte(text); len(b) > 0; {
		n := min(v.step, len(b))
		if err := follow(b[:n]); err != nil {
			v.t.Fatalf("%q: %v", text, err)
		}
		b = b[n:]
	}
}

// ask feeds a request and its answer.
func (v *talked) ask(request, answer string) {
	v.t.Helper()
	v.feed(v.asks, request)
	v.feed(v.answers, answer)
}

func (v *talked) want(n int, after string) {
	v.t.Helper()
	if got := v.sessions.Count(); got != n {
		v.t.Errorf("%d sessions after %s, want %d", got, after, n)
	}
}

func get1(query string) string {
	return "GET /socket.io/?EIO=4&transport=polling" + query + " HTTP/1.1\r\nHost: x\r\n\r\n"
}

func post1(sid, body string) string {
	return fmt.Sprintf("POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", sid, len(body), body)
}

func ok200(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func chunked200(body string) string {
	half := len(body) / 2
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", half, body[:half], len(body)-half, body[half:])
}

func open4(sid string) string {
	return `0{"sid":"` + sid + `","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}`
}

// TestConversation: sessions are counted by the requests and answers on a connection, however these
// arrive.
func TestConversation(t *testing.T) {
	for _, step := range []int{1, 7, 1 << 20} {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			var sessions sessioncount.Counter
			connection := func() *talked {
				return &talked{&conversation{sessions: &sessions, path: "/socket.io/"}, t, step}
			}
			v := connection()
			v.ask(get1(""), ok200(open4("a")))
			v.ask(get1("&t=1"), chunked200(open4("b")))
			v.want(2, "two handshakes")
			v.ask("GET /page HTTP/1.1\r\nHost: x\r\n\r\n", ok200(open4("page")))
			v.ask("GET /socket.io/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}")
			v.ask("HEAD /socket.io/?transport=polling HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
			v.ask(get1("&sid=stranger"), "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}")
			v.ask(post1("a", `42["x","1"]`), "HTTP/1.1 100 Continue\r\n\r\n"+ok200("ok"))
			v.want(2, "other requests")
			v.ask(get1("&sid=%63"), ok200("2")) // "c", whose handshake was elsewhere
			v.want(3, "a poll that was answered")
			v.ask(post1("c", "41\x1e1"), ok200("ok"))
			v.want(2, "a client's close packet")
			v.ask(get1("&sid=b"), chunked200(`42["`+strings.Repeat("x", 5000)+"\"]\x1e1"))
			v.want(1, "a server's close packet")
			v.ask(get1("&sid=a"), "HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
			v.want(0, "an answer that denies the session")

			v.ask(get1(""), ok200(open4("a")))
			v.feed(v.asks, get1("&sid=a"))
			v.left()
			v.want(0, "a client that left during a poll")

			v = connection()
			v.feed(v.asks, get1(""))
			v.feed(v.answers, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+open4("a"))
			v.answered()
			v.want(1, "an answer that ends with its connection")

			v = connection()
			v.feed(v.asks, "GET /socket.io/?transport=websocket&sid=a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
			v.feed(v.answers, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			if !v.over.Load() {
				t.Error("a WebSocket is followed")
			}
			v.left()
			v.answered()
			v.want(1, "an upgrade")
			v.end()
			v.want(0, "its end")
		})
	}
}

// TestConversationsThatCannotBeFollowed: they are given up, and count nothing more.
func TestConversationsThatCannotBeFollowed(t *testing.T) {
	for name, feed := range map[string]func(v *conversation) error{
		"no request": func(v *conversation) error { return v.answers([]byte(ok200(open4("a")))) },
		"no HTTP":    func(v *conversation) error { return v.asks([]byte("hello\r\n\r\n")) },
		"a long head": func(v *conversation) error {
			return v.asks([]byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("x", gateHead)))
		},
		"many at once": func(v *conversation) error {
			return v.asks([]byte(strings.Repeat(get1(""), maxAsked+1)))
		},
		"a malformed chunk": func(v *conversation) error {
			_ = v.asks([]byte(get1("")))
			return v.answers([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sessions sessioncount.Counter
			v := &conversation{sessions: &sessions, path: "/socket.io/"}
			if feed(v) == nil {
				t.Fatal("it is followed")
			}
			v.stop()
			if err := v.asks([]byte(get1(""))); err != nil || len(v.asked) > 0 || v.answers([]byte(ok200(open4("a")))) != nil {
				t.Error("it is still followed")
			}
			v.left()
			v.end()
			if n := sessions.Count(); n != 0 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}
