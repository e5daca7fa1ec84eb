package client_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/client"
)

func TestEmitWhileDisconnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		cfg := f.config()
		cfg.MaxQueueBytes = 100
		c := newClient(t, cfg)
		s := c.Of("/")
		if err := s.Emit("kept", []byte("bin")); err != nil {
			t.Error(err)
		}
		if err := s.Volatile().Emit("lost"); err != nil {
			t.Error(err)
		}
		if err := s.Emit("large", strings.Repeat("x", 100)); !errors.Is(err, client.ErrQueueFull) {
			t.Errorf("beyond MaxQueueBytes: %v", err)
		}
		acked := make(chan string, 1)
		s.WithAck(func(a client.Args, err error) { acked <- a.String() }).Emit("asked")
		ended, end := context.WithCancel(t.Context())
		end()
		for name, err := range map[string]error{"socket": s.EmitContext(ended, "lost"), "emitter": s.Volatile().EmitContext(ended, "lost")} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want it canceled", name, err)
			}
		}
		if err := s.EmitContext(t.Context(), "disconnect"); !errors.Is(err, client.ErrReserved) {
			t.Errorf("with a context: %v", err)
		}
		for _, name := range []string{"connect", "disconnect", "connect_error"} {
			if err := s.Emit(name); !errors.Is(err, client.ErrReserved) {
				t.Errorf("reserved name %s: %v", name, err)
			}
		}
		if err := s.Emit("bad", func() {}); err == nil {
			t.Error("a function was encoded")
		}
		go func() {
			w, _ := f.session(`40{"sid":"a"}`)
			w.expect(`451-["kept",{"_placeholder":true,"num":0}]`, "bin", `420["asked"]`)
			w.send(`430["yes",1]`, `430["twice"]`, `4399["nobody asked"]`)
			w.ignore()
		}()
		connect(t, s)
		if got := <-acked; got != `["yes",1]` {
			t.Errorf("acked %s", got)
		}
		c.Close()
	})
}

// An answer that reports a failure is an error for each way to wait for it, with Retries, too.
func TestAnswersThatReportFailures(t *testing.T) {
	const failure = `[{"error":"no such room","data":"lobby"}]`
	for _, retries := range []int{0, 1} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeServer(t)
			cfg := f.config()
			cfg.Retries = retries
			c := newClient(t, cfg)
			s := c.Of("/")
			go func() {
				w, _ := f.session(`40{"sid":"a"}`)
				for i, answer := range []string{failure, failure, failure, `["here"]`, `[]`, `[7]`} {
					w.expect(fmt.Sprintf(`42%d["join"]`, i))
					w.send(fmt.Sprintf(`43%d`, i) + answer)
				}
				w.ignore()
			}()
			connect(t, s)
			check := func(how string, err error) {
				t.Helper()
				var shown string
				e, ok := errors.AsType[*client.AnswerError](err)
				if !ok || e.Message != "no such room" || e.Data.Decode(&shown) != nil || shown != "lobby" {
					t.Errorf("%s: %v, want the server's failure", how, err)
				}
			}
			answer, err := s.EmitWithAck(t.Context(), "join")
			check("EmitWithAck", err)
			if answer.String() != failure {
				t.Errorf("the answer is %s", answer)
			}
			acked := make(chan error, 1)
			s.WithAck(func(_ client.Args, err error) { acked <- err }).Emit("join")
			check("WithAck", <-acked)
			_, err = client.Call[string](t.Context(), s, "join")
			check("Call", err)
			if room, err := client.Call[string](t.Context(), s, "join"); err != nil || room != "here" {
				t.Errorf("Call: %q, %v", room, err)
			}
			for _, answer := range []string{"an empty answer", "an answer of another type"} {
				if room, err := client.Call[string](t.Context(), s, "join"); err == nil || room != "" {
					t.Errorf("%s: %q, %v; want an error", answer, room, err)
				}
			}
			c.Close()
		})
	}
}

func TestLostConnectionEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		cfg := f.config()
		cfg.AckTimeout = 30 * time.Second
		c := newClient(t, cfg)
		s := c.Of("/")
		go func() {
			w, _ := f.session(`40{"sid":"a"}`)
			w.expect(`420["sent"]`)
			w.conn.Close()
			w, _ = f.session(`40{"sid":"b"}`)
			w.expect(`421["while away"]`)
			w.send(`431["here"]`)
			w.expect(`422["never answered"]`)
			w.ignore()
		}()
		connect(t, s)
		if _, err := s.EmitWithAck(t.Context(), "sent"); !errors.Is(err, client.ErrDisconnected) {
			t.Errorf("%v", err)
		}
		if got := ask[string](t, s, "while away"); got != "here" {
			t.Errorf("%q", got)
		}
		start := time.Now()
		if _, err := s.EmitWithAck(t.Context(), "never answered"); !errors.Is(err, client.ErrAckTimeout) || time.Since(start) != 30*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		c.Close()
	})
}

func TestCorkedEmitsLeaveTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		c := newClient(t, f.config())
		s := c.Of("/")
		got := make(chan int, 1)
		go func() {
			w, _ := f.session(`40{"sid":"a"}`)
			b := make([]byte, 4096)
			n, _ := w.conn.Read(b) // a pipe hands over one write at a time
			got <- n
			w.ignore()
		}()
		connect(t, s)
		s.Cork(func() {
			for range 10 {
				s.Emit("e")
			}
		})
		if n, want := <-got, 10*(6+len(`42["e"]`)); n != want {
			t.Errorf("one write of %d bytes, want %d", n, want)
		}
		c.Close()
	})
}

func TestHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		c := newClient(t, f.config())
		s := c.Of("/")
		var seen []string
		note := func(text ...any) { seen = append(seen, strings.TrimSuffix(fmt.Sprintln(text...), "\n")) }
		s.OnAny(func(event string, args client.Args) { note("any", event, args) })
		s.OnAnyOutgoing(func(event string, args client.Args) { note("out", event, args) })
		s.On("typed", func(ctx context.Context, who *client.Socket, a int, b *string, rest ...float64) {
			note("typed", ctx.Err(), who == s, a, b == nil, rest)
		})
		s.On("typed", func() { note("second") })
		s.On("raw", func(first string, rest client.Args) { note("raw", first, rest) })
		s.On("asked", func(a int) (int, string) { return a, "x" })
		s.On("quiet", func(a int, ack client.Ack) { note("ack is nil:", ack == nil) })
		s.On("gone", func() { note("must not run") })
		s.Off("gone")
		ended := make(chan error, 1)
		s.On("wait", func(ctx context.Context) { <-ctx.Done(); ended <- context.Cause(ctx) })
		go func() {
			w, _ := f.session(`40{"sid":"a"}`)
			w.send(`42["typed"]`, `42["typed",1,null,2.5,3]`, `42["raw","a",1,[2]]`, `42["raw"]`, `427["asked",5,"extra"]`)
			w.expect(`437[5,"x"]`)
			w.send(`42["quiet",1]`, `429["quiet",1]`, `42["gone"]`, `42["typed","no number"]`, `42["wait"]`)
			w.expect(`42["out",true]`)
			w.conn.Close()
		}()
		connect(t, s)
		synctest.Wait()
		s.Emit("out", true)
		if err := <-ended; !errors.Is(err, client.ErrDisconnected) {
			t.Errorf("context ended with %v", err)
		}
		c.Close()
		want := []string{
			"any typed []", "typed <nil> true 0 true []", "second",
			"any typed [1,null,2.5,3]", "typed <nil> true 1 true [2.5 3]", "second",
			`any raw ["a",1,[2]]`, "raw a [1,[2]]", "any raw []", "raw  []", `any asked [5,"extra"]`,
			"any quiet [1]", "ack is nil: true", "any quiet [1]", "ack is nil: false", "any gone []",
			`any typed ["no number"]`, "second", "any wait []", "out out [true]",
		}
		if !slices.Equal(seen, want) {
			t.Errorf("saw\n%s\nwant\n%s", strings.Join(seen, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestHandlersThatEndTheirGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeServer(t)
		c := newClient(t, f.config())
		s := c.Of("/")
		got := make(chan int, 3)
		s.On("n", func(n int) {
			got <- n
			if n == 1 {
				runtime.Goexit()
			}
		})
		go func() {
			w, _ := f.session(`40{"sid":"a"}`, `42["n",0]`, `42["n",1]`, `42["n",2]`)
			w.ignore()
		}()
		connect(t, s)
		for i := range 3 {
			if n := <-got; n != i {
				t.Errorf("%d, want %d", n, i)
			}
		}
		c.Close()
	})
}

// TestWrongHandlersPanic: package internal/handler tests the rules; here they are the client's.
func TestWrongHandlersPanic(t *testing.T) {
	c := newClient(t, client.Config{URL: "http://fake"})
	defer func() {
		text, _ := recover().(string)
		if want := `client: On("ev", func(int, *client.Socket)): the *client.Socket must precede the arguments`; !strings.HasPrefix(text, want) {
			t.Errorf("panic %q, want %q", text, want)
		}
	}()
	c.Of("/").On("ev", func(int, *client.Socket) {})
}

func TestConfigProblemsAreToldTogether(t *testing.T) {
	_, err := client.New(client.Config{URL: "http://host/admin", Transports: []string{"carrier pigeon"}, Timeout: -1, RandomizationFactor: 2})
	for _, want := range []string{"must have no path", "carrier pigeon", "Timeout", "RandomizationFactor"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
	for _, bad := range []string{"", "host:80", "ftp://x", "http://", "http://%"} {
		if _, err := client.New(client.Config{URL: bad}); err == nil {
			t.Errorf("URL %q was taken", bad)
		}
	}
}
