package client_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sidereal-io/sidereal/client"
)

func TestAttachments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		c := newClient(t, f.config())
		s := c.Of("/")
		type doc struct {
			A, B []byte
			N    int
		}
		got := make(chan doc, 1)
		s.On("doc", func(d doc) { got <- d })
		go func() {
			w, _ := f.session(`40{"sid":"a"}`)
			w.send(`452-["doc",{"b":{"_placeholder":true,"num":1},"n":5,"a":{"_placeholder":true,"num":0}}]`)
			w.sendBinary(1, 2)
			w.send("2") // a ping may come between
			w.sendBinary(3)
			w.ignore()
		}()
		connect(t, s)
		if d := <-got; string(d.A) != "\x01\x02" || string(d.B) != "\x03" || d.N != 5 {
			t.Errorf("got %v", d)
		}
		c.Close()
	})
}

// A violation of the protocol costs the connection, with "parse error". The client ignores one that
// may be harmless.
func TestViolations(t *testing.T) {
	for name, c := range map[string]struct {
		send func(w *webSocket)
		want string
	}{
		"unknown type":            {func(w *webSocket) { w.send("49") }, client.ReasonParseError},
		"malformed JSON":          {func(w *webSocket) { w.send(`42["e"`) }, client.ReasonParseError},
		"event that is no array":  {func(w *webSocket) { w.send(`42{"e":1}`) }, client.ReasonParseError},
		"stray binary":            {func(w *webSocket) { w.sendBinary(1) }, client.ReasonParseError},
		"text before attachments": {func(w *webSocket) { w.send(`451-["e",{"_placeholder":true,"num":0}]`, `42["e"]`) }, client.ReasonParseError},
		"too many attachments":    {func(w *webSocket) { w.send(`451001-["e"]`) }, client.ReasonParseError},
		"an attachment named twice": {func(w *webSocket) {
			w.send(`451-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`)
		}, client.ReasonParseError},
		"placeholder beyond them": {func(w *webSocket) { w.send(`451-["e",{"_placeholder":true,"num":1}]`) }, client.ReasonParseError},
		"protocol 4":              {func(w *webSocket) { w.send(`40`) }, client.ReasonParseError},
		"engine packet":           {func(w *webSocket) { w.send("x") }, client.ReasonTransportError},
		"engine close":            {func(w *webSocket) { w.send("1") }, client.ReasonTransportClose},
		"harmless": {func(w *webSocket) {
			w.send("6", "3", `42/unknown,["e"]`, `40/unknown,{"sid":"x"}`, `4399[]`, `42["nobody listens"]`, `40{"sid":"again"}`, "41")
		}, client.ReasonServerDisconnect},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeServer(t)
				cfg := f.config()
				cfg.NoReconnection = true
				cl := newClient(t, cfg)
				s := cl.Of("/")
				gone := make(chan string, 1)
				s.OnDisconnect(func(reason string, err error) { gone <- reason })
				go func() {
					w, _ := f.session(`40{"sid":"a"}`)
					c.send(w)
					w.ignore()
				}()
				connect(t, s)
				if reason := <-gone; reason != c.want {
					t.Errorf("reason %q, want %q", reason, c.want)
				}
				cl.Close()
			})
		})
	}
}

func TestHandlersThatFallBehindAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		cfg := f.config()
		cfg.NoReconnection, cfg.MaxQueueBytes = true, 1000
		c := newClient(t, cfg)
		s := c.Of("/")
		release, gone := make(chan bool), make(chan error, 1)
		s.On("e", func() { <-release })
		s.OnDisconnect(func(reason string, err error) { gone <- err })
		finished := make(chan bool)
		go func() {
			w, _ := f.session(`40{"sid":"a"}`)
			for range 30 {
				if w.trySend(`42["e","`+strings.Repeat("x", 100)+`"]`) != nil {
					break
				}
			}
			close(finished)
		}()
		connect(t, s)
		<-finished
		close(release)
		if err := <-gone; err == nil || !strings.Contains(err.Error(), "fell behind") {
			t.Errorf("%v", err)
		}
		c.Close()
	})
}
