package socketio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

func TestHandlers(t *testing.T) {
	type said struct {
		Room string `json:"room"`
		Text string `json:"text"`
	}
	cases := []struct {
		name    string
		handler any
		send    string // with the ack id 7
		want    []string
	}{
		{"results answer", func(a, b int) int { return a + b }, `["e",1,2]`, []string{`37[3]`}},
		{"several results", func(s string) (string, int, error) { return s, len(s), nil }, `["e","abc"]`, []string{`37["abc",3]`}},
		{"an error alone answers", func() error { return nil }, `["e"]`, []string{`37[]`}},
		{"no results, no answer", func(s *socketio.Socket) { s.Emit("done") }, `["e"]`, []string{`2["done"]`}},
		{"structs", func(m said) said { m.Text += "!"; return m }, `["e",{"text":"<b>","room":"r","x":1}]`, []string{`37[{"room":"r","text":"<b>!"}]`}},
		{"pointers", func(m *said) bool { return m == nil }, `["e",null]`, []string{`37[true]`}},
		{"missing arguments are zero", func(a string, b *int, c []string) string { return fmt.Sprint(a, b, len(c)) }, `["e"]`, []string{`37["<nil> 0"]`}},
		{"extra arguments are ignored", func(a int) int { return a }, `["e",1,2,3]`, []string{`37[1]`}},
		{"variadic", func(first string, rest ...int) int { return len(rest) }, `["e","x",1,2,3]`, []string{`37[3]`}},
		{"variadic without any", func(rest ...string) int { return len(rest) }, `["e"]`, []string{`37[0]`}},
		{"the raw rest", func(first int, rest socketio.Args) (socketio.Args, error) { return rest, nil }, `["e",1,{"b":1,"a":1e0},[]]`, []string{`37[{"b":1,"a":1},[]]`}},
		{"all raw", func(_ context.Context, _ *socketio.Socket, a socketio.Args) (socketio.Args, error) { return a, nil }, `["e",1.0,"x"]`, []string{`37[1,"x"]`}},
		{"one undecoded value", func(v socketio.Value, n int) (int, socketio.Value) { return n, v }, `["e",{"deep":[1.50]},2]`, []string{`37[2,{"deep":[1.5]}]`}},
		{"an Ack", func(text string, ack socketio.Ack) {
			if ack != nil {
				ack(text, 1)
			}
		}, `["e","x"]`, []string{`37["x",1]`}},
		{"an Ack called twice", func(s *socketio.Socket, ack socketio.Ack) {
			if ack == nil {
				return
			}
			ack(1)
			s.Emit("second", errors.Is(ack(2), socketio.ErrAnswered))
		}, `["e"]`, []string{`37[1]`, `2["second",true]`}},
		{"an Ack kept for later", func(_ *socketio.Socket, _ socketio.Args, ack socketio.Ack) {
			if ack != nil {
				time.AfterFunc(time.Second, func() { ack("late") })
			}
		}, `["e"]`, []string{`37["late"]`}},
		{"the context", func(ctx context.Context, s *socketio.Socket) bool { return ctx == s.Context() && ctx.Err() == nil }, `["e"]`, []string{`37[true]`}},
		{"any", func(v any) string { return fmt.Sprintf("%T", v) }, `["e",{"a":1}]`, []string{`37["map[string]interface {}"]`}},
		{"a shown error", func() (int, error) { return 0, &socketio.Error{Message: "no such room", Data: 404} }, `["e"]`, []string{`37[{"error":"no such room","data":404}]`}},
		{"a wrapped shown error", func(string) error { return fmt.Errorf("x: %w", socketio.NewError("gone")) }, `["e"]`, []string{`37[{"error":"gone"}]`}},
		{"another error", func(*socketio.Socket, string) error { return errors.New("secret") }, `["e"]`, []string{`37[{"error":"internal error"}]`}},
		{"a panic", func(*socketio.Socket) { panic("secret") }, `["e"]`, []string{`37[{"error":"internal error"}]`}},
		{"arguments that do not fit", func(n int) int { return n }, `["e","x"]`, []string{`37[{"error":"invalid arguments"}]`}},
		{"arguments that do not fit, fast path", func(s *socketio.Socket, text string) {}, `["e",{}]`, []string{`37[{"error":"invalid arguments"}]`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			serve(t, socketio.Config{}, func(io *socketio.Server) { io.On("e", c.handler) }, func(t *testing.T, h *peer.Host) {
				p, _ := h.Join("/")
				p.Send("27" + c.send)
				p.Want(c.want...)
				p.Send("2" + c.send) // without an answer asked for it must do no harm
				p.Send(`28["unknown"]`, `2`)
				p.Send("0/other,")
				for p.Next() != `4/other,{"message":"Invalid namespace"}` {
				}
			})
		})
	}
}

func TestWrongHandlersAreRefusedAtRegistration(t *testing.T) {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for rule, handler := range map[string]any{
		"must be a function":                  "hello",
		"is nil":                              (func(int))(nil),
		"context.Context must be the first":   func(*socketio.Socket, context.Context) {},
		"*socketio.Socket must precede":       func(int, *socketio.Socket) {},
		"chan int has no form in JSON":        func(chan int) {},
		"func() has no form in JSON":          func() func() { return nil },
		"fmt.Stringer cannot be decoded into": func(fmt.Stringer) {},
		//lint:ignore ST1008 that is the rule
		"an error must be the last result":        func() (error, int) { return nil, 0 },
		"nothing may follow the socketio.Ack":     func(socketio.Ack, int) {},
		"only a socketio.Ack may follow":          func(socketio.Args, int) {},
		"[]socketio.Args":                         func(...socketio.Args) {},
		"must precede the arguments":              func(context.Context, int, *socketio.Socket) {},
		"(\"e\", func(context.Context, chan int)": func(context.Context, chan int) {},
	} {
		func() {
			defer func() {
				text := fmt.Sprint(recover())
				if rule == "[]socketio.Args" {
					rule = "packet.Args cannot stand there"
				}
				if !strings.Contains(text, rule) {
					t.Errorf("%T: %s; want %q", handler, text, rule)
				}
			}()
			io.On("e", handler)
		}()
	}
	for _, event := range []string{"disconnect", "connection"} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, "reserved; see OnConnect") {
					t.Errorf("On(%s): %s", event, text)
				}
			}()
			io.On(event, func() {})
		}()
	}
	func() {
		defer func() {
			if text := fmt.Sprint(recover()); !strings.Contains(text, "OnServer") {
				t.Errorf("OnServer with a socket: %s", text)
			}
		}()
		io.OnServer("e", func(*socketio.Socket) {})
	}()
	if err := io.Emit("disconnect"); !errors.Is(err, socketio.ErrReserved) {
		t.Errorf("Emit(disconnect): %v", err)
	}
	if err := io.ServerSideEmit("connection"); !errors.Is(err, socketio.ErrReserved) {
		t.Errorf("ServerSideEmit(connection): %v", err)
	}
	if err := io.Emit("x", make(chan int)); err == nil {
		t.Error("a channel was emitted")
	}
}

func TestOrderOfListeners(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.OnAny(func(s *socketio.Socket, event string, args socketio.Args) { s.Emit("any", event, args) })
		io.UseEvents(func(_ context.Context, s *socketio.Socket, event string, args socketio.Args) error {
			if event == "blocked" {
				return socketio.NewError("blocked event")
			}
			return s.Emit("middleware", event)
		})
		io.OnError(func(s *socketio.Socket, event string, err error) { s.Emit("errored", event, err.Error()) })
		io.On("e", func(s *socketio.Socket) string { s.Emit("first"); return "first" })
		io.On("e", func(s *socketio.Socket) string { s.Emit("second"); return "second" })
		io.On("blocked", func(s *socketio.Socket) { s.Emit("unreachable") })
		io.OnConnect(func(s *socketio.Socket) {
			s.On("e", func() { s.Emit("own") })
			s.On("off", func() { s.Emit("unreachable") })
			s.Off("off")
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`23["e",1]`, `24["blocked"]`, `2["off"]`)
		p.Want(`2["any","e",1]`, `2["middleware","e"]`, `2["first"]`, `33["first"]`, `2["second"]`, `2["own"]`)
		p.Want(`2["any","blocked"]`, `34[{"error":"blocked event"}]`, `2["errored","blocked","blocked event"]`)
		p.Want(`2["any","off"]`, `2["middleware","off"]`)
		synctest.Wait()
		p.WantNothing()
	})
}

// An event that a middleware refuses is answered like one whose handler fails. A client that waits
// for the answer would wait in vain otherwise.
func TestErrorsOfEventMiddlewaresAnswer(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.UseEvents(func(_ context.Context, s *socketio.Socket, event string, _ socketio.Args) error {
			switch event {
			case "shown":
				return &socketio.Error{Message: "slow down", Data: 30}
			case "hidden":
				return errors.New("secret")
			case "panic":
				panic("secret")
			}
			return nil
		})
		io.OnError(func(s *socketio.Socket, event string, err error) { s.Emit("errored", event) })
		io.On("shown", func(s *socketio.Socket) { s.Emit("unreachable") })
		io.On("fails", func() error { return errors.New("secret") })
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`21["shown"]`, `22["hidden"]`, `23["panic"]`, `24["allowed, without a handler"]`, `2["shown"]`, `25["fails"]`)
		p.Want(`31[{"error":"slow down","data":30}]`, `2["errored","shown"]`)
		p.Want(`32[{"error":"internal error"}]`, `2["errored","hidden"]`)
		p.Want(`33[{"error":"internal error"}]`, `2["errored","panic"]`)
		p.Want(`2["errored","shown"]`)
		p.Want(`35[{"error":"internal error"}]`, `2["errored","fails"]`)
		synctest.Wait()
		p.WantNothing()
	})
}

// A panic is one record at level error, wherever it happens, with its stack.
func TestPanicsAreOneRecord(t *testing.T) {
	var lines bytes.Buffer
	serve(t, socketio.Config{Log: slog.New(slog.NewTextHandler(&lines, nil))}, func(io *socketio.Server) {
		io.On("handler", func() { panic("in a handler") })
		io.On("go", func(s *socketio.Socket) { s.Go(func(context.Context) { panic("in Go") }) })
		io.UseEvents(func(_ context.Context, _ *socketio.Socket, event string, _ socketio.Args) error {
			if event == "middleware" {
				panic("in a middleware of events")
			}
			return nil
		})
		io.Of("/refused").Use(func(context.Context, *socketio.Socket) error { panic("in a middleware") })
		io.OfFunc(func(context.Context, string, json.RawMessage) bool { panic("in a namespace") })
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		for _, send := range []string{`21["handler"]`, `2["go"]`, `21["middleware"]`, `0/refused,`, `0/other,`} {
			lines.Reset()
			p.Send(send)
			synctest.Wait()
			got := lines.String()
			if strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "panic=\"in ") || !strings.Contains(got, "stack=\"goroutine ") {
				t.Errorf("%s logged %s", send, got)
			}
		}
	})
}

func TestOutgoingListeners(t *testing.T) {
	var heard []string
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.OnAnyOutgoing(func(_ *socketio.Socket, event string, args socketio.Args) { heard = append(heard, event+args.String()) })
		io.OnConnect(func(s *socketio.Socket) {
			s.Emit("one", 1, []byte("x"))
			io.Emit("all", "x")
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Want(`51-["one",1,{"_placeholder":true,"num":0}]`, "b:x", `2["all","x"]`)
		synctest.Wait()
		if got := strings.Join(heard, " "); got != `one[1,{"_placeholder":true,"num":0}] all["x"]` {
			t.Errorf("heard %s", got)
		}
	})
}

// Handlers of one socket run in order and may block; those of others go on, and so do answers.
func TestHandlersMayWaitForTheirOwnClient(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		echo(io)
		io.On("ask", func(ctx context.Context, s *socketio.Socket, ms int) (string, error) {
			answer, err := s.Timeout(time.Duration(ms)*time.Millisecond).EmitWithAck(ctx, "question", 1)
			if err != nil {
				return err.Error(), nil
			}
			return answer.String(), nil
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		q, _ := h.Join("/")
		p.Send(`21["ask",5000]`, `22["echo","after"]`)
		p.Want(`20["question",1]`)
		q.Send(`21["echo","meanwhile"]`)
		q.Want(`31["meanwhile"]`)
		q.Send(`30["not mine to answer"]`)
		p.Send(`399["unknown"]`, `30["blue",2]`, `30["again"]`)
		p.Want(`31["[\"blue\",2]"]`, `32["after"]`)
		start := time.Now()
		p.Send(`23["ask",5000]`)
		p.Want(`21["question",1]`, `33["operation has timed out"]`)
		if d := time.Since(start).Round(100 * time.Millisecond); d != 5*time.Second {
			t.Errorf("timed out after %v", d)
		}
		p.Send(`31["late"]`)
		p.Send(`24["ask",50000]`)
		p.Want(`22["question",1]`)
		p.Cut() // the handler does not wait for a client that has gone: Stop would hang
	})
}

func TestAckErrors(t *testing.T) {
	serve(t, socketio.Config{}, nil, func(t *testing.T, h *peer.Host) {
		p, id := h.Join("/")
		synctest.Wait()
		s, ok := h.IO.Socket(id)
		if !ok {
			t.Fatal("the socket is not there")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.EmitWithAck(ctx, "q"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("at the deadline: %v", err)
		}
		if !errors.Is(socketio.ErrTimeout, context.DeadlineExceeded) {
			t.Error("ErrTimeout is no deadline")
		}
		go p.Cut()
		if _, err := s.EmitWithAck(t.Context(), "q"); !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("of a client that left: %v", err)
		}
		if err := s.Emit("x"); !errors.Is(err, socketio.ErrDisconnected) {
			t.Errorf("Emit to a client that left: %v", err)
		}
		if err := s.Context().Err(); err == nil {
			t.Error("its context goes on")
		}
	})
}

// Each way to ask one client returns an answer that reports a failure as an error. A handler that
// passes this error on doesn't show one client's words to another.
func TestAnswersThatReportFailures(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.On("ask", func(ctx context.Context, s *socketio.Socket, how string) (any, error) {
			sockets, err := io.To(s.ID()).FetchSockets(ctx)
			if err != nil {
				return nil, err
			}
			asked := map[string]socketio.Answerer{"socket": s, "emitter": s.Timeout(time.Minute), "remote": sockets[0]}[how]
			answer, err := asked.EmitWithAck(ctx, "q")
			failure, ok := errors.AsType[*socketio.AnswerError](err)
			if !ok {
				return nil, err
			}
			return []any{answer.Value(0), failure.Message, failure.Data}, nil
		})
		io.On("call", func(ctx context.Context, s *socketio.Socket) (int, error) {
			return socketio.Call[int](ctx, s, "q")
		})
		io.On("broadcast", func(ctx context.Context, s *socketio.Socket) (bool, error) {
			answers, err := io.To(s.ID()).EmitWithAck(ctx, "q")
			_, ok := errors.AsType[*socketio.AnswerError](answers[0].Err())
			return ok, err
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		for i, how := range []string{"socket", "emitter", "remote"} {
			p.Send(fmt.Sprintf(`29["ask",%q]`, how))
			p.Want(fmt.Sprintf(`2%d["q"]`, i))
			p.Send(fmt.Sprintf(`3%d[{"error":"busy","data":7}]`, i))
			p.Want(`39[[{"error":"busy","data":7},"busy",7]]`)
		}
		p.Send(`29["broadcast"]`)
		p.Want(`23["q"]`)
		p.Send(`33[{"error":"busy"}]`)
		p.Want(`39[true]`)
		for i, c := range []struct{ answer, want string }{
			{`[42]`, `[42]`},
			{`[{"error":"busy"}]`, `[{"error":"internal error"}]`},
			{`["not a number"]`, `[{"error":"internal error"}]`},
			{`[]`, `[{"error":"internal error"}]`},
		} {
			p.Send(`29["call"]`)
			p.Want(fmt.Sprintf(`2%d["q"]`, i+4))
			p.Send(fmt.Sprintf(`3%d`, i+4) + c.answer)
			p.Want(`39` + c.want)
		}
	})
}

func TestBinary(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		echo(io)
		io.On("len", func(b []byte, nested struct{ Blob []byte }) (int, string) { return len(b), string(nested.Blob) })
		io.On("send", func(s *socketio.Socket) {
			s.Emit("bin", []byte{1, 2}, map[string]any{"a": [][]byte{{3}}, "b": nil, "d": time.Unix(0, 0)})
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`52-["echo",{"x":{"_placeholder":true,"num":1}},{"num":0,"_placeholder":true}]`)
		p.SendBinary("zero")
		p.SendBinary("one")
		p.Want(`52-["echo",{"x":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]`, "b:one", "b:zero")
		p.Send(`52-9["len",{"_placeholder":true,"num":0},{"blob":{"_placeholder":true,"num":1}}]`)
		p.SendBinary("12345")
		p.SendBinary("yes")
		p.Want(`39[5,"yes"]`)
		p.Send(`51-5["echo","missing"]`)
		p.SendBinary("x")
		p.Want(`35["missing"]`)
		p.Send(`2["send"]`)
		p.Want(`52-["bin",{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}],"b":null,"d":"1970-01-01T00:00:00.000Z"}]`,
			"b:\x01\x02", "b:\x03")
		p.Send(`2["echo",{"_placeholder":true,"num":0}]`) // plain data in a plain event
		p.Want(`2["echo",{"_placeholder":true,"num":0}]`)
	})
}

func TestEventNames(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.On("1", func() string { return "one" })
		io.On("café", func() string { return "unicode" })
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		p.Send(`21[1]`, `22["caf\u00e9"]`, `2007[1]`, `2 1[1]`, `2`)
		p.Want(`31["one"]`, `32["unicode"]`, `37["one"]`, `31["one"]`)
	})
}

func TestViolationsCloseTheConnection(t *testing.T) {
	deep := `2["e",` + strings.Repeat("[", 300000) + strings.Repeat("]", 300000) + "]"
	for _, send := range []string{
		`2["e"`, `2[]`, `2{}`, `2[null]`, `2[{}]`, `2"e"`, `2["connect"]`, `2["disconnecting"]`, `3{}`, `3`[:0] + `9`, ``, `x`,
		`1{}`, `0[]`, `0{"a":1}`, `0`, `4{"message":"x"}`, `2/other,["e"]`, `2/ns["x"]`, `1/other,`, `0/x,"auth"`,
		`50-["e"]`, `5-["e"]`, `5x-["e"]`, `511-["e"]`, `51-["e",{"_placeholder":true,"num":1}]`, `2-1["e"]`, `2["e",1]]`, deep,
	} {
		serve(t, socketio.Config{}, func(io *socketio.Server) {
			io.On("reason", func() {})
			io.Of("/x")
			io.OnDisconnect(func(_ *socketio.Socket, reason string) {
				if reason != socketio.ReasonForcedClose {
					t.Errorf("%.40q: disconnected for %q", send, reason)
				}
			})
		}, func(t *testing.T, h *peer.Host) {
			p, _ := h.Join("/")
			p.Send(send)
			p.Want("closed")
		})
	}
	for name, violate := range map[string]func(p *peer.Peer){
		"binary without a packet": func(p *peer.Peer) { p.SendBinary("x") },
		"text among attachments": func(p *peer.Peer) {
			p.Send(`52-["e"]`)
			p.SendBinary("x")
			p.Send(`2["e"]`)
		},
		"one attachment too many": func(p *peer.Peer) {
			p.Send(`51-["e"]`)
			p.SendBinary("x")
			p.SendBinary("x")
		},
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, socketio.Config{}, nil, func(t *testing.T, h *peer.Host) {
				p, _ := h.Join("/")
				violate(p)
				p.Want("closed")
			})
		})
	}
	serve(t, socketio.Config{}, nil, func(t *testing.T, h *peer.Host) {
		p := h.Dial("")
		p.Send(`2["e"]`) // not connected at all
		p.Want("closed")
	})
}

func TestLimits(t *testing.T) {
	block := make(chan struct{})
	serve(t, socketio.Config{MaxNamespaces: 2, MaxPendingBytes: 10000, MaxAttachments: 20}, func(io *socketio.Server) {
		for _, name := range []string{"/a", "/b", "/c"} {
			io.Of(name)
		}
		io.On("block", func(ctx context.Context) { <-ctx.Done() })
		echo(io)
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/a")
		p.Connect("/b", "")
		p.Send("0/c,")
		p.Want("closed")
		q, _ := h.Join("/")
		q.Send(`2["block"]`)
		for range 30 {
			q.Send(`2["echo","` + strings.Repeat("x", 100) + `"]`)
		}
		q.Want("closed")
		r, _ := h.Join("/")
		r.Send(`512-["echo"]`)
		for range 12 {
			r.SendBinary("x")
		}
		r.Want(`2["echo"]`)
	})
	close(block)
}

// An event that comes in one read with a CONNECT waits for it; Node closes the connection, which no
// client relies on.
func TestEventsWaitForTheConnection(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		echo(io)
		io.Use(func(ctx context.Context, s *socketio.Socket) error {
			time.Sleep(time.Second)
			return nil
		})
	}, func(t *testing.T, h *peer.Host) {
		p := h.Dial("")
		p.SendTogether("0", `21["echo",1]`, `22["echo",2]`)
		if got := p.Next(); !strings.HasPrefix(got, `0{"sid"`) {
			t.Errorf("got %q", got)
		}
		p.Want(`31[1]`, `32[2]`)
		p.SendTogether(`23["echo",3]`, "1") // dropped, as Node does: it dispatches after the read
		synctest.Wait()
		p.WantNothing()
		q := h.Dial("")
		q.Send("0")
		q.Cut() // while the middleware runs
		time.Sleep(time.Minute)
	})
}

func TestInvalidUTF8IsReplaced(t *testing.T) {
	serve(t, socketio.Config{}, func(io *socketio.Server) {
		io.On("e", func(text string) bool { return text == "a\ufffdb" })
	}, func(t *testing.T, h *peer.Host) {
		sid := openPolling(t, h)
		post(t, h, sid, "40")
		poll(t, h, sid)
		post(t, h, sid, "421[\"e\",\"a\xffb\"]")
		if got := poll(t, h, sid); got != `431[true]` {
			t.Errorf("got %q", got)
		}
	})
}
