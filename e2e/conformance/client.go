package main

import (
	"context"
	"net/http"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
)

// handshakeDelay is how long the client app takes to let somebody in.
const handshakeDelay = 10 * time.Millisecond

// clientApp is for the tests of the official client.
func clientApp() (app, error) {
	io, err := socketio.New(socketio.Config{
		PingInterval: 2 * time.Second,
		AllowRequest: func(r *http.Request) error {
			time.Sleep(handshakeDelay)
			return nil
		},
		Recovery: &socketio.Recovery{},
	})
	if err != nil {
		return nil, err
	}
	io.Use(func(_ context.Context, s *socketio.Socket) error {
		if _, fail := s.Handshake().Query["fail"]; fail {
			return socketio.NewError("Auth failed (main namespace)")
		}
		return nil
	})
	for _, name := range []string{"/timeout_socket", "/valid", "/asd"} {
		io.Of(name)
	}
	io.Of("/foo").On("getId", (*socketio.Socket).ID)
	io.Of("/abc").OnConnect(func(s *socketio.Socket) { s.Emit("handshake", s.Handshake()) })
	io.Of("/no").Use(func(context.Context, *socketio.Socket) error {
		return socketio.NewError("Auth failed (custom namespace)")
	})
	answerClient(io.Namespace)
	return app{io}, nil
}

// answerClient adds the events of the main namespace.
func answerClient(io *socketio.Namespace) {
	io.On("hi", func(s *socketio.Socket) { s.Emit("hi") })
	io.On("echo", func(x socketio.Value) socketio.Value { return x })
	io.On("ack", func(s *socketio.Socket) {
		s.Go(func(ctx context.Context) {
			answer, err := s.EmitWithAck(ctx, "ack")
			var n int
			var o struct{ Test bool }
			if err == nil && answer.Scan(&n, &o) == nil && n == 5 && o.Test {
				s.Emit("got it")
			}
		})
	})
	io.On("getId", (*socketio.Socket).ID)
	io.On("getHandshake", (*socketio.Socket).Handshake)

	type dated struct {
		Date time.Time `json:"date"`
	}
	io.On("getAckDate", func(socketio.Value) time.Time { return time.Now() })
	io.On("getDate", func(s *socketio.Socket) { s.Emit("takeDate", time.Now()) })
	io.On("getDateObj", func(s *socketio.Socket) { s.Emit("takeDateObj", dated{time.Now()}) })
	io.On("getUtf8", func(s *socketio.Socket) {
		for _, text := range []string{"てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"} {
			s.Emit("takeUtf8", text)
		}
	})
	io.On("false", func(s *socketio.Socket) { s.Emit("false", false) })

	text := []byte("asdfasdf")
	io.On("doge", func(s *socketio.Socket) { s.Emit("doge", text) })
	io.On("getbin", func(s *socketio.Socket) { s.Emit("takebin", text) })
	io.On("buffa", func(s *socketio.Socket, b []byte) {
		if b != nil {
			s.Emit("buffack")
		}
	})
	type parcel struct {
		Hello, Goodbye string
		Message        []byte
	}
	io.On("jsonbuff", func(s *socketio.Socket, p parcel) {
		if p.Hello == "lol" && p.Message != nil && p.Goodbye == "gotcha" {
			s.Emit("jsonbuff-ack")
		}
	})
	buffered := socketio.NewLocal[bool]()
	io.On("abuff1", func(s *socketio.Socket, b []byte) { buffered.Set(s, b != nil) })
	io.On("abuff2", func(s *socketio.Socket) {
		if got, _ := buffered.Get(s); got {
			s.Emit("abuff2-ack")
		}
	})
}
