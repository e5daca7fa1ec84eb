// Presence shows who is online on all hosts. A person comes with the first connection and goes with
// the last; everyone gets an event for both.
package main

import (
	"context"
	"maps"
	"slices"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

func main() { worker.Main(presence) }

func presence(_ context.Context, io *socketio.Server) error {
	io.Share(nameKey)
	io.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Name string }
		if err := s.Handshake().DecodeAuth(&auth); err != nil || auth.Name == "" {
			return socketio.NewError("say who you are")
		}
		return nameKey.Set(s, auth.Name)
	})
	io.OnConnect(func(s *socketio.Socket) {
		if s.Recovered() {
			return // nobody was told that it was away
		}
		s.Go(func(ctx context.Context) {
			others, err := connections(ctx, io, name(s))
			s.Join(room(name(s)))
			if err == nil && others == 0 {
				io.Emit("online", name(s))
			}
		})
	})
	io.OnGone(func(s socketio.RemoteSocket) { // not OnDisconnect: the client may be back in a moment
		if others, err := connections(context.Background(), io, name(s)); err == nil && others == 0 {
			io.Emit("offline", name(s))
		}
	})
	io.On("who", func(ctx context.Context) ([]string, error) {
		sockets, err := io.FetchSockets(ctx)
		names := map[string]bool{}
		for _, s := range sockets {
			if name, err := nameKey.Get(s); err == nil {
				names[name] = true
			}
		}
		return slices.Sorted(maps.Keys(names)), err // with an error, the names that are known
	})
	return nil
}

// nameKey is the person's name.
var nameKey = socketio.NewKey[string]("name")

// name returns the person's name. Everyone has one, since the middleware wants it.
func name(s socketio.AnySocket) string {
	name, _ := nameKey.Get(s)
	return name
}

func room(name string) string { return "person:" + name }

// connections counts a person's connections on all hosts.
func connections(ctx context.Context, io *socketio.Server, name string) (int, error) {
	sockets, err := io.To(room(name)).FetchSockets(ctx)
	return len(sockets), err
}
