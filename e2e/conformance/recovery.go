package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
)

// recoveryApp is the edge app's server at /csr/, whose clients may be away for 5 seconds.
func recoveryApp() (*socketio.Server, error) {
	io, err := socketio.New(socketio.Config{
		Path:     "/csr/",
		Recovery: &socketio.Recovery{MaxDisconnection: 5 * time.Second},
	})
	if err != nil {
		return nil, err
	}
	value := socketio.NewKey[socketio.Value]("v")
	io.Share(value)
	io.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Deny any }
		if err := s.Handshake().DecodeAuth(&auth); err != nil || truthy(auth.Deny) {
			return socketio.NewError("denied")
		}
		return nil
	})
	io.OnConnect(func(s *socketio.Socket) {
		if s.Recovered() {
			rooms := s.Rooms()
			slices.Sort(rooms)
			v, _ := value.Get(s)
			s.Emit("recovered", v, rooms)
		}
	})
	io.On("set", func(s *socketio.Socket, v socketio.Value, room string) error {
		s.Join(room)
		return value.Set(s, v)
	})
	io.On("hi", func(s *socketio.Socket) { s.Emit("hi") })
	io.On("ask", func(s *socketio.Socket) {
		s.Go(func(ctx context.Context) { s.EmitWithAck(ctx, "question") })
	})
	io.On("vol", func(s *socketio.Socket) { s.Volatile().Emit("vol") })
	io.On("bcast", func(s *socketio.Socket, room, event string, args socketio.Args) { s.To(room).Emit(event, args) })
	io.On("bye", func(s *socketio.Socket) { s.Disconnect(false) })
	return io, nil
}

// unmarshalList reads a list, or one value as a list of one.
func unmarshalList(text []byte, list *[]string) error {
	if len(text) > 0 && text[0] == '[' {
		return json.Unmarshal(text, list)
	}
	var one *string
	if err := json.Unmarshal(text, &one); err != nil || one == nil {
		return err
	}
	*list = []string{*one}
	return nil
}
