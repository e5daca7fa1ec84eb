package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/handler"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Server and client stand for the packages that compile handlers: each has a socket and an Ack of
// its own.
type (
	serverSocket struct{ name string }
	serverAck    func(args ...any) error
	clientSocket struct{ name string }
	clientAck    func(args ...any) error
)

type key struct{} // of a value in the context

// sender records how a handler answers.
type sender[A ~func(...any) error] struct {
	wanted  bool
	answers []string
}

func (e *sender[A]) Context() context.Context {
	return context.WithValue(context.Background(), key{}, "context")
}
func (e *sender[A]) Wanted() bool { return e.wanted }

func (e *sender[A]) Ack() A {
	if !e.wanted {
		return nil
	}
	return e.Reply
}

func (e *sender[A]) Reply(results ...any) error {
	p, err := packet.EncodeArgs(results...)
	e.answers = append(e.answers, string(p.JSON))
	return err
}

type said struct {
	Room string `json:"room"`
	Text string `json:"text"`
}

var errHandler = errors.New("the handler's")

// call is one row of the table of what handlers do.
type call struct {
	name    string
	handler any
	args    string
	answers []string // while the sender waits
	err     error    // of the handler, or errUnfit
}

var errUnfit = errors.New("the arguments don't fit")

// calls are the rows for one side.
func calls[S any, A ~func(...any) error](name func(S) string) []call {
	return []call{
		{"no parameters", func() {}, `[1]`, nil, nil},
		{"results answer", func(a, b int) int { return a + b }, `[1,2]`, []string{`[3]`}, nil},
		{"several results", func(s string) (string, int, error) { return s, len(s), nil }, `["abc"]`, []string{`["abc",3]`}, nil},
		{"many results", func(s string) (a, b, c, d, e string) { return s, s, s, s, s }, `["x"]`, []string{`["x","x","x","x","x"]`}, nil},
		{"a nil error alone answers", func(int) error { return nil }, `[1]`, []string{`[]`}, nil},
		{"an error", func(int) error { return errHandler }, `[1]`, nil, errHandler},
		{"an error beside results", func() (int, error) { return 1, errHandler }, `[]`, nil, errHandler},
		{"no results", func(int) {}, `[1]`, nil, nil},
		{"structs", func(m said) said { m.Text += "!"; return m }, `[{"text":"<b>","room":"r","x":1}]`, []string{`[{"room":"r","text":"<b>!"}]`}, nil},
		{"pointers", func(m *said) bool { return m == nil }, `[null]`, []string{`[true]`}, nil},
		{"missing arguments", func(a string, b *int, c []string) string { return fmt.Sprint(a, b, len(c)) }, `[]`, []string{`["<nil> 0"]`}, nil},
		{"further arguments", func(a int) int { return a }, `[1,2,3]`, []string{`[1]`}, nil},
		{"variadic", func(first string, rest ...int) int { return len(rest) }, `["x",1,2,3]`, []string{`[3]`}, nil},
		{"variadic without any", func(rest ...string) int { return len(rest) }, `[]`, []string{`[0]`}, nil},
		{"the raw rest", func(_ int, rest packet.Args) packet.Args { return rest }, `[1,{"b":1},[]]`, []string{`[{"b":1},[]]`}, nil},
		{"the raw rest of nothing", func(_, _ int, rest packet.Args) int { return rest.Len() }, `[1]`, []string{`[0]`}, nil},
		{"one undecoded value", func(v packet.Value, n int) (int, packet.Value) { return n, v }, `[{"deep":[1.5]},2]`, []string{`[2,{"deep":[1.5]}]`}, nil},
		{"any", func(v any) string { return fmt.Sprintf("%T", v) }, `[{"a":1}]`, []string{`["map[string]interface {}"]`}, nil},
		{"the context", func(ctx context.Context) any { return ctx.Value(key{}) }, `[]`, []string{`["context"]`}, nil},
		{"the socket", func(s S) string { return name(s) }, `[]`, []string{`["socket"]`}, nil},
		{"context, socket, argument", func(ctx context.Context, s S, n int) (any, string, int) { return ctx.Value(key{}), name(s), n }, `[7]`, []string{`["context","socket",7]`}, nil},
		{"an Ack", func(text string, ack A) {
			if ack != nil {
				ack(text, 1)
			}
		}, `["x"]`, []string{`["x",1]`}, nil},
		{"an Ack kept for later, and a nil error", func(string, A) error { return nil }, `["x"]`, nil, nil},
		{"an Ack, and an error", func(string, A) error { return errHandler }, `["x"]`, nil, errHandler},
		{"an Ack behind the raw rest", func(_ string, rest packet.Args, ack A) {
			if ack != nil {
				ack(rest)
			}
		}, `["x",1,2]`, []string{`[1,2]`}, nil},
		{"arguments that don't fit", func(n int) int { return n }, `["x"]`, nil, errUnfit},
		{"variadic arguments that don't fit", func(n ...int) int { return len(n) }, `[1,"x"]`, nil, errUnfit},
		{"bytes without an attachment", func(b []byte) int { return len(b) }, `[{}]`, nil, errUnfit},
		// These go without reflection.
		{"direct: socket", func(s S) {}, `[]`, nil, nil},
		{"direct: raw", func(packet.Args) {}, `[1]`, nil, nil},
		{"direct: raw, Ack", func(args packet.Args, ack A) {
			if ack != nil {
				ack(args)
			}
		}, `[1]`, []string{`[1]`}, nil},
		{"direct: socket, raw", func(S, packet.Args) {}, `[1]`, nil, nil},
		{"direct: socket, raw, Ack", func(s S, args packet.Args, ack A) {
			if ack != nil {
				ack(name(s), args)
			}
		}, `[1]`, []string{`["socket",1]`}, nil},
		{"direct: socket, raw, Ack, nil error", func(S, packet.Args, A) error { return nil }, `[1]`, nil, nil},
		{"direct: socket, raw, Ack, error", func(S, packet.Args, A) error { return errHandler }, `[1]`, nil, errHandler},
		{"direct: socket, raw, nil error", func(S, packet.Args) error { return nil }, `[1]`, []string{`[]`}, nil},
		{"direct: socket, raw, error", func(S, packet.Args) error { return errHandler }, `[1]`, nil, errHandler},
		{"direct: all, raw answer", func(_ context.Context, _ S, args packet.Args) (packet.Args, error) { return args, nil }, `[1,"x"]`, []string{`[1,"x"]`}, nil},
		{"direct: all, error", func(context.Context, S, packet.Args) (packet.Args, error) { return packet.Args{}, errHandler }, `[1]`, nil, errHandler},
		{"direct: text", func(S, string) {}, `["x"]`, nil, nil},
		{"direct: text that isn't", func(S, string) {}, `[1]`, nil, errUnfit},
		{"direct: no text", func(_ S, text string) error { return errors.Join(nil, map[bool]error{false: errHandler}[text == ""]) }, `[]`, []string{`[]`}, nil},
		{"direct: text, error", func(S, string) error { return errHandler }, `["x"]`, nil, errHandler},
		{"direct: text that isn't, error", func(S, string) error { return nil }, `[{}]`, nil, errUnfit},
	}
}

// TestCalls runs the same table for both sides.
func TestCalls(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		side[*serverSocket, serverAck](t, &serverSocket{"socket"}, calls[*serverSocket, serverAck](func(s *serverSocket) string { return s.name }))
	})
	t.Run("client", func(t *testing.T) {
		side[*clientSocket, clientAck](t, &clientSocket{"socket"}, calls[*clientSocket, clientAck](func(s *clientSocket) string { return s.name }))
	})
}

func side[S any, A ~func(...any) error](t *testing.T, socket S, rows []call) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			args, err := packet.Payload{JSON: []byte(row.args)}.Args()
			if err != nil {
				t.Fatal(err)
			}
			run := handler.Compile[S, A](handler.Rules{Package: "pkg"}, "On", "e", row.handler)
			for _, wanted := range []bool{true, false, true} { // the last one uses a frame again
				e := &sender[A]{wanted: wanted}
				err := run(&handler.Call[S, A]{Socket: socket, Args: args, Sender: e})
				unfit, ok := errors.AsType[*handler.ArgsError](err)
				switch {
				case row.err == errUnfit && (!ok || unfit.Error() == "" || errors.Unwrap(unfit) == nil), row.err != errUnfit && err != row.err:
					t.Errorf("wanted %v: error %v, want %v", wanted, err, row.err)
				}
				if want := row.answers; wanted && !slices.Equal(e.answers, want) {
					t.Errorf("answers %q, want %q", e.answers, want)
				}
				if !wanted && len(e.answers) > 1 {
					t.Errorf("answers %q without a question", e.answers)
				}
			}
		})
	}
}

func TestRules(t *testing.T) {
	type compile func(fn any)
	withSocket := func(fn any) {
		handler.Compile[*serverSocket, serverAck](handler.Rules{Package: "pkg"}, "On", "e", fn)
	}
	without := func(fn any) {
		handler.Compile[*serverSocket, serverAck](handler.Rules{Package: "pkg", NoSocket: true}, "OnServer", "e", fn)
	}
	for _, c := range []struct {
		compile compile
		fn      any
		want    string
	}{
		{withSocket, "hello", `pkg: On("e", string): the handler must be a function: func([context.Context,] [*pkg.Socket,] arguments... [, pkg.Ack])`},
		{withSocket, nil, `pkg: On("e", <nil>): the handler must be a function`},
		{withSocket, (func(int))(nil), "the handler is nil"},
		{withSocket, (func())(nil), "the handler is nil"},
		{withSocket, func(*serverSocket, context.Context) {}, "the context.Context must be the first parameter"},
		{withSocket, func(int, *serverSocket) {}, "the *pkg.Socket must precede the arguments"},
		{withSocket, func(context.Context, int, *serverSocket) {}, "the *pkg.Socket must precede the arguments"},
		{withSocket, func(*serverSocket, *serverSocket) {}, "the *pkg.Socket must precede the arguments"},
		{withSocket, func(chan int) {}, "parameter 1: chan int has no form in JSON"},
		{withSocket, func(complex128) {}, "complex128 has no form in JSON"},
		{withSocket, func() func() { return nil }, "result 1: func() has no form in JSON"},
		{withSocket, func(fmt.Stringer) {}, "fmt.Stringer cannot be decoded into: use a concrete type, or any"},
		//lint:ignore ST1008 that is the rule
		{withSocket, func() (error, int) { return nil, 0 }, "an error must be the last result"},
		{withSocket, func(serverAck, int) {}, "nothing may follow the pkg.Ack"},
		{withSocket, func(packet.Args, int) {}, "only a pkg.Ack may follow"},
		{withSocket, func(...packet.Args) {}, "packet.Args cannot stand there"},
		{withSocket, func() *serverSocket { return nil }, "cannot stand there"},
		{without, func(*serverSocket) {}, `pkg: OnServer("e", func(*handler_test.serverSocket)): parameter 1: *handler_test.serverSocket cannot stand there`},
		{without, 1, "func([context.Context,] arguments... [, pkg.Ack])"},
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, c.want) {
					t.Errorf("%T: panic %q, want %q", c.fn, text, c.want)
				}
			}()
			c.compile(c.fn)
		}()
	}
	without(func(context.Context, string, packet.Args, serverAck) error { return nil })
}

type publicError struct{ text string }

func (e *publicError) Error() string { return e.text }

func TestFailureOf(t *testing.T) {
	words := func(e *publicError) handler.Failure { return handler.Failure{Message: e.text, Data: 0} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{&publicError{"no such room"}, `{"error":"no such room","data":0}`},
		{fmt.Errorf("wrapped: %w", &publicError{"gone"}), `{"error":"gone","data":0}`},
		{&handler.ArgsError{Err: errors.New("secret")}, `{"error":"invalid arguments"}`},
		{errors.New("secret"), `{"error":"internal error"}`},
	} {
		text, err := json.Marshal(handler.FailureOf(c.err, words))
		if err != nil || string(text) != c.want {
			t.Errorf("%v is told as %s, %v; want %s", c.err, text, err, c.want)
		}
	}
}
