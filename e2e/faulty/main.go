// Faulty is an app that ends sessions in every way, which TestWhy runs.
package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

func main() {
	worker.MainConfig(socketio.Config{
		MaxQueueBytes: 256 << 10, MaxPendingBytes: 32 << 10, MaxRooms: 3,
		AllowRequest: func(r *http.Request) error {
			if r.URL.Query().Get("token") == "wrong" {
				return errors.New("the token has expired")
			}
			return nil
		},
	}, faulty)
}

func faulty(_ context.Context, io *socketio.Server) error {
	io.Of("/members").Use(func(context.Context, *socketio.Socket) error {
		return &socketio.Error{Message: "members only"}
	})
	io.On("kick", func(s *socketio.Socket) { s.Disconnect(true) })
	io.On("join", func(s *socketio.Socket, rooms []string) { s.Join(rooms...) })
	io.On("block", func(ctx context.Context) { <-ctx.Done() }) // until the client has left
	io.On("flood", func(s *socketio.Socket) {
		news := make([]byte, 100<<10)
		for s.Emit("news", news) == nil {
		}
	})
	return nil
}
