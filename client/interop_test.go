package client_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio/msgpack"
)

// servers are the URLs of three servers with the same events: testdata/server.cjs lists them.
type servers struct {
	Plain    string
	Recovery string // with recovery, and a ping each 100 ms
	Deflate  string // with permessage-deflate from 16 bytes
	Msgpack  string // with the MessagePack parser
}

// TestServers has the client talk with the official server and with ours.
func TestServers(t *testing.T) {
	for name, start := range map[string]func(testing.TB) servers{"node": startNode, "own": startOwn} {
		t.Run(name, func(t *testing.T) {
			n := start(t)
			t.Run("conversation", func(t *testing.T) { scenarioConversation(t, n) })
			t.Run("refusals", func(t *testing.T) { scenarioRefusals(t, n) })
			t.Run("recovery", func(t *testing.T) { scenarioRecovery(t, n) })
			t.Run("disconnects", func(t *testing.T) { scenarioDisconnects(t, n) })
			t.Run("retries", func(t *testing.T) { scenarioRetries(t, n) })
		})
	}
}

// newClient makes a client that is closed with the test.
func newClient(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func connect(t testing.TB, s *client.Socket) {
	t.Helper()
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// ask emits with an ack that is decoded into `into`.
func ask[T any](t testing.TB, s *client.Socket, event string, args ...any) (into T) {
	t.Helper()
	got, err := s.EmitWithAck(t.Context(), event, args...)
	if err == nil {
		err = got.Decode(0, &into)
	}
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	return into
}

// next receives, and fails the test when nothing comes.
func next[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func scenarioConversation(t *testing.T, n servers) {
	for name, cfg := range map[string]client.Config{
		"websocket": {Transports: []string{client.WebSocket}},
		"polling":   {Transports: []string{client.Polling}},
		"upgrade":   {},
		"deflate":   {Transports: []string{client.WebSocket}, PerMessageDeflate: true, DeflateThreshold: 16},
		"msgpack":   {Parser: msgpack.Parser{}},
		"backwards": {Transports: []string{client.WebSocket, client.Polling}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.URL = n.Plain
			switch name {
			case "deflate":
				cfg.URL = n.Deflate
			case "msgpack":
				cfg.URL = n.Msgpack
			}
			testConversation(t, cfg, name)
		})
	}
}

func testConversation(t *testing.T, cfg client.Config, name string) {
	type hello struct {
		Auth   map[string]any
		Header string
		Query  string
		Host   string
	}
	upgraded := make(chan string, 2)
	cfg.OnTransport = func(name string) { upgraded <- name }
	cfg.Auth = map[string]string{"token": "ä<&>"}
	cfg.Header = http.Header{"X-Test": {"header"}, "Host": {"example.test"}}
	cfg.Query = url.Values{"q": {"a b&c"}}
	c := newClient(t, cfg)
	s := c.Of("/")
	greeted := make(chan hello, 1)
	s.On("hello", func(h hello) { greeted <- h })
	connect(t, s)
	h := next(t, greeted, "the greeting")
	if h.Auth["token"] != "ä<&>" || h.Header != "header" || h.Query != "a b&c" || h.Host != "example.test" {
		t.Errorf("handshake: %+v", h)
	}
	first := next(t, upgraded, "the transport")
	if name == "upgrade" || name == "msgpack" {
		if to := next(t, upgraded, "the upgrade"); first != client.Polling || to != client.WebSocket {
			t.Errorf("from %s to %s", first, to)
		}
		if got := ask[string](t, s, "transport"); got != "websocket" {
			t.Errorf("server says %s", got)
		}
	}
	if name == "deflate" {
		if got := ask[string](t, s, "deflate"); !strings.Contains(got, "permessage-deflate") {
			t.Errorf("extensions %q", got)
		}
	}

	t.Run("echo", func(t *testing.T) {
		long := strings.Repeat("€ long ", 30_000)
		got, err := s.EmitWithAck(t.Context(), "echo", "text", 42, long, map[string]any{"k": []int{1, 2}}, nil)
		if err != nil || got.Len() != 5 {
			t.Fatalf("%v, %v", got, err)
		}
		var text, back string
		var n int
		if err := got.Scan(&text, &n, &back); err != nil || text != "text" || n != 42 || back != long {
			t.Errorf("%q %d, %d bytes, %v", text, n, len(back), err)
		}
	})
	t.Run("binary", func(t *testing.T) {
		type doc struct {
			Name string   `json:"name"`
			Body []byte   `json:"body"`
			More [][]byte `json:"more"`
		}
		sent := doc{"x", []byte{0, 1, 0xff}, [][]byte{make([]byte, 70_000), {}}}
		got := ask[doc](t, s, "echo", sent)
		if got.Name != "x" || string(got.Body) != string(sent.Body) || len(got.More) != 2 || len(got.More[0]) != 70_000 || len(got.More[1]) != 0 {
			t.Errorf("got %v %v, %d parts", got.Name, got.Body, len(got.More))
		}
	})
	t.Run("answers", func(t *testing.T) {
		s.On("sum", func(a, b int) (int, error) { return a + b, nil })
		s.On("cat", func(parts ...string) string { return strings.Join(parts, "") })
		s.On("bytes", func(b []byte) []byte { slices.Reverse(b); return b })
		s.On("later", func(args client.Args, ack client.Ack) { go ack(args) })
		s.On("wrong", func() error { return &client.Error{Message: "no", Data: 5} })
		s.On("secret", func() error { return errors.New("password") })
		if got := ask[int](t, s, "ask", "sum", 20, 22); got != 42 {
			t.Errorf("sum: %d", got)
		}
		if got := ask[string](t, s, "ask", "cat", "a", "b", "c"); got != "abc" {
			t.Errorf("cat: %q", got)
		}
		if got := ask[[]byte](t, s, "ask", "bytes", []byte{1, 2, 3}); string(got) != "\x03\x02\x01" {
			t.Errorf("bytes: %v", got)
		}
		if got := ask[string](t, s, "ask", "later", "x"); got != "x" {
			t.Errorf("later: %q", got)
		}
		for _, c := range []struct {
			ask           []any
			message, data string
		}{
			{[]any{"wrong"}, "no", "5"}, {[]any{"secret"}, "internal error", "null"}, {[]any{"sum", "x"}, "invalid arguments", "null"},
		} {
			answer, err := s.EmitWithAck(t.Context(), "ask", c.ask...)
			failure, ok := errors.AsType[*client.AnswerError](err)
			if !ok || failure.Message != c.message || failure.Data.String() != c.data {
				t.Errorf("%v: %v with %s, want an error %q with the data %s", c.ask, err, answer, c.message, c.data)
			}
		}
	})
	t.Run("order", func(t *testing.T) {
		const n = 2000
		got := make(chan int, n)
		s.On("n", func(i int) { got <- i })
		if err := s.Emit("burst", n); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if x := next(t, got, "an event"); x != i {
				t.Fatalf("event %d came as number %d", x, i)
			}
		}
		for i := range n {
			if err := s.Emit("echo", i); err != nil {
				t.Fatal(err)
			}
		}
		if got := ask[int](t, s, "echo", n); got != n {
			t.Errorf("%d", got)
		}
	})
	t.Run("namespaces", func(t *testing.T) {
		admin := c.Of("admin")
		connect(t, admin)
		if got := ask[string](t, admin, "echo", "over one connection"); got != "over one connection" {
			t.Errorf("%q", got)
		}
		if admin.ID() == s.ID() || admin.ID() == "" {
			t.Errorf("ids %q and %q", admin.ID(), s.ID())
		}
		admin.Disconnect()
		if got := ask[int](t, s, "echo", 1); got != 1 {
			t.Error("the other socket is gone")
		}
		var refused *client.ConnectError
		if err := c.Of("/none").Connect(t.Context()); !errors.As(err, &refused) || refused.Message != "Invalid namespace" {
			t.Errorf("unknown namespace: %v", err)
		}
	})
	t.Run("farewell", func(t *testing.T) {
		id, gone := s.ID(), make(chan string, 1)
		s.OnDisconnect(func(reason string, err error) { gone <- reason })
		if err := s.Emit("echo", "last words"); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if reason := next(t, gone, "the disconnection"); reason != client.ReasonClientDisconnect {
			t.Errorf("reason %q", reason)
		}
		if err := s.Emit("x"); !errors.Is(err, client.ErrClosed) {
			t.Errorf("emit after Close: %v", err)
		}
		other := newClient(t, client.Config{URL: cfg.URL, Parser: cfg.Parser, Transports: []string{client.WebSocket}}).Of("/")
		connect(t, other)
		var got *string
		for got == nil { // nothing orders the two connections at the server
			got = ask[*string](t, other, "reason", id)
		}
		if *got != "client namespace disconnect" {
			t.Errorf("the server's reason is %q", *got)
		}
	})
}

func scenarioRefusals(t *testing.T, n servers) {
	for _, transport := range []string{client.Polling, client.WebSocket} {
		c := newClient(t, client.Config{URL: n.Plain, Transports: []string{transport}, Auth: map[string]bool{"refuse": true}})
		s := c.Of("/")
		told := make(chan error, 1)
		s.OnConnectError(func(err error) { told <- err })
		var refused *client.ConnectError
		if err := s.Connect(t.Context()); !errors.As(err, &refused) || refused.Message != "not you" || string(refused.Data) != `{"code":7}` {
			t.Errorf("%s: %v", transport, err)
		}
		if err := next(t, told, "the refusal"); !errors.As(err, &refused) {
			t.Errorf("%s: %v", transport, err)
		}
		c = newClient(t, client.Config{URL: n.Plain, Path: "/elsewhere", Transports: []string{transport}, NoReconnection: true})
		if err := c.Of("/").Connect(t.Context()); !errors.Is(err, client.ErrGaveUp) {
			t.Errorf("%s: %v", transport, err)
		}
	}
}

func scenarioRecovery(t *testing.T, n servers) {
	for name, transports := range map[string][]string{
		"websocket": {client.WebSocket}, "polling": {client.Polling}, "upgrade": nil,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := client.Config{URL: n.Recovery, Transports: transports, ReconnectionDelay: time.Millisecond, Auth: map[string]int{"a": 1}}
			pings := make(chan bool, 100)
			cfg.OnPing = func() {
				select {
				case pings <- true:
				default:
				}
			}
			s := newClient(t, cfg).Of("/")
			other := newClient(t, client.Config{URL: cfg.URL}).Of("/")
			connect(t, other)
			connected, gone, said := make(chan bool, 4), make(chan string, 4), make(chan int, 10)
			s.OnConnect(func() { connected <- s.Recovered() })
			s.OnDisconnect(func(reason string, err error) { gone <- reason })
			s.On("said", func(i int) { said <- i })
			connect(t, s)
			if next(t, connected, "the connection") {
				t.Error("recovered at first")
			}
			room := "room " + name
			ask[[]string](t, s, "join", room)
			other.Emit("say", room, 0)
			next(t, said, "an event, for an offset")
			id := s.ID()
			for range 3 {
				next(t, pings, "a ping")
			}
			s.Emit("cut")
			if reason := next(t, gone, "the cut"); reason != client.ReasonTransportClose {
				t.Errorf("reason %q", reason)
			}
			for i := 1; i < 4; i++ {
				other.Emit("say", room, i)
			}
			if err := s.Emit("echo", "kept"); err != nil {
				t.Error(err)
			}
			if !next(t, connected, "the reconnection") || s.ID() != id {
				t.Errorf("not recovered; id %q, was %q", s.ID(), id)
			}
			for i := 1; i < 4; i++ {
				if got := next(t, said, "what was missed"); got != i {
					t.Errorf("got %d, want %d", got, i)
				}
			}
			if rooms := ask[[]string](t, s, "rooms"); !slices.Contains(rooms, room) {
				t.Errorf("rooms %q", rooms)
			}
		})
	}
}

func scenarioDisconnects(t *testing.T, n servers) {
	for _, closeTransport := range []bool{false, true} {
		s := newClient(t, client.Config{URL: n.Plain, Transports: []string{client.WebSocket}}).Of("/")
		gone := make(chan string, 1)
		s.OnDisconnect(func(reason string, err error) { gone <- reason })
		connect(t, s)
		pending := make(chan error, 1)
		s.WithAck(func(_ client.Args, err error) { pending <- err }).Emit("silent")
		s.Emit("kick", closeTransport)
		if reason := next(t, gone, "the disconnection"); reason != client.ReasonServerDisconnect {
			t.Errorf("reason %q", reason)
		}
		if err := next(t, pending, "the wait's end"); !errors.Is(err, client.ErrDisconnected) {
			t.Errorf("pending ack: %v", err)
		}
		connect(t, s) // by hand, since nothing reconnects by itself
		if got := ask[int](t, s, "echo", 3); got != 3 {
			t.Error(got)
		}
	}
}

func scenarioRetries(t *testing.T, n servers) {
	s := newClient(t, client.Config{URL: n.Plain, Retries: 3, AckTimeout: 50 * time.Millisecond}).Of("/")
	if err := s.Emit("echo", "kept until connected"); err != nil {
		t.Fatal(err)
	}
	connect(t, s)
	if tries := ask[int](t, s, "flaky", 3); tries != 3 {
		t.Errorf("%d tries", tries)
	}
	if _, err := s.EmitWithAck(t.Context(), "silent"); !errors.Is(err, client.ErrAckTimeout) {
		t.Errorf("never answered: %v", err)
	}
	if got := ask[string](t, s, "echo", "after"); got != "after" {
		t.Errorf("%q", got)
	}
}
