package client_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/msgpack"
)

var triesKey = socketio.NewKey[int]("tries")

// startOwn starts servers of ours with the events of testdata/server.cjs.
func startOwn(t testing.TB) servers {
	start := func(cfg socketio.Config) string {
		t.Helper()
		io, err := socketio.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ownEvents(io, io.Of("/"))
		ownEvents(io, io.Of("/admin"))
		return testkit.Serve(t, io).URL
	}
	return servers{
		Plain: start(socketio.Config{}),
		Recovery: start(socketio.Config{
			PingInterval: 100 * time.Millisecond, PingTimeout: 2 * time.Second,
			Recovery: &socketio.Recovery{},
		}),
		Msgpack: start(socketio.Config{Parser: msgpack.Parser{}}),
		Deflate: start(socketio.Config{PerMessageDeflate: &engineio.PerMessageDeflate{Threshold: 16}}),
	}
}

func ownEvents(io *socketio.Server, n *socketio.Namespace) {
	n.Share(triesKey)
	n.Use(func(_ context.Context, s *socketio.Socket) error {
		if string(s.Handshake().Auth) == `{"refuse":true}` {
			return &socketio.Error{Message: "not you", Data: map[string]int{"code": 7}}
		}
		return nil
	})
	n.OnConnect(func(s *socketio.Socket) {
		h := s.Handshake()
		s.Emit("hello", map[string]any{"auth": h.Auth, "header": h.Headers.Get("X-Test"), "query": h.Query["q"], "host": s.Request().Host})
	})
	n.On("echo", func(s *socketio.Socket, args socketio.Args, ack socketio.Ack) {
		if ack != nil {
			ack(args)
			return
		}
		s.Emit("echo", args)
	})
	n.On("ask", func(ctx context.Context, s *socketio.Socket, event string, args socketio.Args) (socketio.Args, error) {
		answer, err := s.EmitWithAck(ctx, event, args)
		if _, failed := errors.AsType[*socketio.AnswerError](err); failed {
			err = nil // the answer goes back as it is
		}
		return answer, err
	})
	n.On("burst", func(s *socketio.Socket, n int) {
		for i := range n {
			s.Emit("n", i)
		}
	})
	n.On("silent", func() {})
	n.On("flaky", func(s *socketio.Socket, n int, ack socketio.Ack) {
		tries, _ := triesKey.Get(s)
		if tries++; tries >= n {
			ack(tries)
			tries = 0
		}
		triesKey.Set(s, tries)
	})
	n.On("transport", func(s *socketio.Socket) string { return s.Transport() })
	n.On("deflate", func(s *socketio.Socket) string { return "permessage-deflate" }) // the session does not tell
	cut := func(s *socketio.Socket) {
		for session := range io.Engine().Sessions() {
			if session.ID() == s.SID() {
				session.Close()
			}
		}
	}
	n.On("cut", cut)
	n.On("drop", cut)
	n.On("kick", func(s *socketio.Socket, closeTransport bool) { s.Disconnect(closeTransport) })
	n.On("join", func(s *socketio.Socket, room string) []string { s.Join(room); return s.Rooms() })
	n.On("rooms", func(s *socketio.Socket) []string { return s.Rooms() })
	n.On("say", func(s *socketio.Socket, room string, args socketio.Args) { s.Namespace().To(room).Emit("said", args) })
	var reasons sync.Map
	n.OnDisconnect(func(s *socketio.Socket, reason string) { reasons.Store(s.ID(), reason) })
	n.On("reason", func(id string) any { reason, _ := reasons.Load(id); return reason })
}
