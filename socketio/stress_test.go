package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

var roomKey = socketio.NewKey[string]("room")

// Everything at once on two linked servers: for the race detector, and for what is left behind.
func TestEverythingAtOnce(t *testing.T) {
	hub := cluster.NewHub()
	var hosts []*peer.Host
	for range 2 {
		hosts = append(hosts, peer.Serve(t, socketio.Config{Adapter: hub, CleanupEmptyChildNamespaces: true}, func(io *socketio.Server) {
			echo(io)
			io.Share(roomKey)
			io.OfFunc(func(context.Context, string, json.RawMessage) bool { return true })
			io.On("join", func(s *socketio.Socket, room string) { s.Join(room); roomKey.Set(s, room) })
			io.On("leave", func(s *socketio.Socket, room string) { s.Leave(room) })
			io.On("say", func(s *socketio.Socket, room string) error { return s.To(room).Emit("said", []byte(room)) })
			io.On("ask", func(ctx context.Context, s *socketio.Socket) {
				ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
				defer cancel()
				io.EmitWithAck(ctx, "question")
				s.EmitWithAck(ctx, "question")
			})
			io.On("fetch", func(ctx context.Context) (int, error) {
				list, err := io.FetchSockets(ctx)
				return len(list), err
			})
			io.On("bye", func(s *socketio.Socket) { s.Disconnect(true) })
		}))
	}
	var clients sync.WaitGroup
	for i := range 12 {
		clients.Go(func() {
			for round := range 5 {
				h := hosts[(i+round)%2]
				p := h.Dial("")
				p.SendTogether("0", fmt.Sprintf("0/made-%d,", i%3))
				for n := range 20 {
					room := fmt.Sprint("room", (i+n)%4)
					p.Send(`2["join","`+room+`"]`, `2["say","`+room+`"]`, `2["ask"]`, `21["fetch"]`, `2["leave","`+room+`"]`, `30["answer"]`, `2["echo",1]`)
					h.IO.To(room).Except("nobody").Emit("news", n)
				}
				if round%2 == 0 {
					p.Send(`2["bye"]`)
					for p.Next() != "closed" {
					}
				}
				p.Cut()
			}
		})
	}
	clients.Wait()
	for _, h := range hosts {
		h.Stop()
		for s := range h.IO.Sockets() {
			t.Errorf("socket %s is left behind", s.ID())
		}
		for n := range h.IO.Namespaces() {
			if n.Name() != "/" {
				t.Errorf("namespace %s is left behind", n.Name())
			}
		}
	}
}
