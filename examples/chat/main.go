// Chat is a chat with rooms, names and presence. It runs on any number of processes and hosts.
//
//	go run .              one process on :8080
//	sidereal up ./chat    one worker per core; with SIDEREAL_REDIS_URL on many hosts
//
// The page loads the client from ./node_modules: npm install --ignore-scripts socket.io-client
package main

import (
	"context"
	_ "embed"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/worker"
)

//go:embed index.html
var page []byte

// said is a message as everyone in the room sees it.
type said struct {
	Room string    `json:"room"`
	From string    `json:"from"`
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// nameKey is each person's name. All servers see it, and it survives the death of a worker.
var nameKey = socketio.NewKey[string]("name")

func main() { worker.Main(chat) }

func chat(_ context.Context, io *socketio.Server) error {
	io.Share(nameKey)
	io.Use(authenticate)
	io.On("join", func(ctx context.Context, s *socketio.Socket, room string) ([]string, error) {
		if room == "" || len(room) > 40 {
			return nil, socketio.NewError("a room's name has 1 to 40 characters")
		}
		s.Join("room:" + room)
		s.To("room:"+room).Emit("joined", room, name(s))
		return present(ctx, io, room)
	})
	io.On("leave", func(s *socketio.Socket, room string) error {
		s.Leave("room:" + room)
		return io.To("room:"+room).Emit("left", room, name(s))
	})
	io.On("say", func(s *socketio.Socket, room, text string) (said, error) {
		if !slices.Contains(s.Rooms(), "room:"+room) {
			return said{}, &socketio.Error{Message: "join the room first", Data: room}
		}
		m := said{Room: room, From: name(s), Text: text, At: time.Now()}
		return m, s.To("room:"+room).Emit("said", m)
	})
	io.OnGone(func(s socketio.RemoteSocket) { // not OnDisconnect: the client may be back in a moment
		for _, in := range s.Rooms {
			if room, ok := strings.CutPrefix(in, "room:"); ok {
				io.To(in).Emit("left", room, name(s))
			}
		}
	})
	io.Handle("GET /{$}", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(page) }))
	io.Handle("GET /client/", http.StripPrefix("/client", http.FileServerFS(os.DirFS("node_modules/socket.io-client/dist"))))
	return nil
}

// authenticate reads the client's name from its auth data.
func authenticate(_ context.Context, s *socketio.Socket) error {
	var auth struct{ Name string }
	if err := s.Handshake().DecodeAuth(&auth); err != nil || strings.TrimSpace(auth.Name) == "" {
		return socketio.NewError("say who you are")
	}
	return nameKey.Set(s, strings.TrimSpace(auth.Name))
}

// name returns the person's name. Everyone has one, since authenticate wants it.
func name(s socketio.AnySocket) string {
	name, _ := nameKey.Get(s)
	return name
}

// present returns the names of all people in a room, on all hosts.
func present(ctx context.Context, io *socketio.Server, room string) ([]string, error) {
	sockets, err := io.To("room:" + room).FetchSockets(ctx)
	var names []string
	for _, s := range sockets {
		if name, err := nameKey.Get(s); err == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), err
}
