package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Sockets of all servers, with what is known when some do not answer.
func ExampleNamespace_FetchSockets() {
	io := servers()
	sockets, err := io.To("room").Timeout(time.Second).FetchSockets(context.Background())
	var missing *socketio.MissingError
	switch {
	case errors.As(err, &missing):
		fmt.Printf("%d sockets, but %d of %d servers did not answer: %v\n",
			len(sockets), missing.Expected-missing.Answered, missing.Expected, missing.Missing)
	case err != nil:
		fmt.Println(err)
	default:
		fmt.Println(len(sockets), "sockets in the room")
	}
	// Output: 0 sockets in the room
}

// An event for one server, which answers.
func ExampleNamespace_ServerSideEmitToWithAck() {
	io := servers()
	for _, peer := range io.Peers() {
		answer, err := io.ServerSideEmitToWithAck(context.Background(), peer.ID, "load")
		var clients int
		if err == nil {
			err = answer.Scan(&clients)
		}
		fmt.Println(clients, err)
	}
	// Output: 7 <nil>
}

// Rooms of all servers.
func ExampleNamespace_AllRooms() {
	rooms, err := servers().AllRooms(context.Background())
	fmt.Println(rooms, err)
	// Output: [] <nil>
}

// servers returns one of two servers of a process, as tests of an app have them.
func servers() *socketio.Server {
	hub := cluster.NewHub()
	var servers [2]*socketio.Server
	for i := range servers {
		io, err := socketio.New(socketio.Config{Adapter: hub})
		if err != nil {
			panic(err)
		}
		io.OnServer("load", func() int { return 7 })
		servers[i] = io
	}
	return servers[0]
}
