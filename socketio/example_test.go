package socketio_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
)

// serveExample serves io until the function that it returns is called, and connects one client.
func serveExample(io *socketio.Server, auth any) (*client.Socket, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { io.Run(ctx) })
	server := httptest.NewServer(io)
	c, err := client.New(client.Config{URL: server.URL, Auth: auth, Transports: []string{client.WebSocket}, NoReconnection: true})
	if err != nil {
		panic(err)
	}
	return c.Of("/"), func() {
		c.Close()
		cancel()
		running.Wait()
		server.Close()
	}
}

// A server answers what its clients ask.
func Example() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		panic(err)
	}
	io.On("add", func(a, b int) int { return a + b })

	socket, stop := serveExample(io, nil)
	defer stop()
	ctx := context.Background()
	if err := socket.Connect(ctx); err != nil {
		panic(err)
	}
	answer, err := socket.EmitWithAck(ctx, "add", 40, 2)
	fmt.Println(answer, err)
	// Output: [42] <nil>
}

// The result of a handler answers the client; an Error is shown to it.
func ExampleNamespace_On() {
	type order struct {
		Item  string
		Count int
	}
	type receipt struct {
		Total int `json:"total"`
	}
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		panic(err)
	}
	io.On("order", func(ctx context.Context, s *socketio.Socket, o order) (receipt, error) {
		if o.Count < 1 {
			return receipt{}, &socketio.Error{Message: "nothing ordered", Data: o.Item}
		}
		return receipt{Total: 3 * o.Count}, nil
	})

	socket, stop := serveExample(io, nil)
	defer stop()
	ctx := context.Background()
	if err := socket.Connect(ctx); err != nil {
		panic(err)
	}
	for _, count := range []int{2, 0} {
		r, err := client.Call[receipt](ctx, socket, "order", order{"pear", count})
		fmt.Println(r.Total, err)
	}
	// Output:
	// 6 <nil>
	// 0 answered with an error: nothing ordered
}

// A middleware decides who may connect; its Error reaches the client as connect_error.
func ExampleNamespace_Use() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		panic(err)
	}
	io.Use(func(ctx context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Handshake().DecodeAuth(&auth); err != nil || auth.Token != "secret" {
			return socketio.NewError("not authorized")
		}
		return nil
	})

	socket, stop := serveExample(io, map[string]string{"token": "guess"})
	defer stop()
	fmt.Println(socket.Connect(context.Background()))
	// Output: client: connect /: refused by the server: not authorized
}

// A key's value is the same after the client has moved to another server, and other servers see it.
func ExampleKey() {
	type user struct {
		Name  string
		Since time.Time
	}
	var who = socketio.NewKey[user]("user") // a package variable, as a rule
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		panic(err)
	}
	io.Share(who)
	io.Use(func(ctx context.Context, s *socketio.Socket) error {
		return who.Set(s, user{"Ada", time.Date(1815, 12, 10, 0, 0, 0, 0, time.UTC)})
	})
	io.On("who", func(s *socketio.Socket) (string, error) {
		u, err := who.Get(s)
		if err != nil {
			return "", err // no value, or none of this type: the event fails
		}
		return fmt.Sprintf("%s, since %d", u.Name, u.Since.Year()), nil
	})

	socket, stop := serveExample(io, nil)
	defer stop()
	ctx := context.Background()
	if err := socket.Connect(ctx); err != nil {
		panic(err)
	}
	fmt.Println(client.Call[string](ctx, socket, "who"))
	// Output: Ada, since 1815 <nil>
}

// A broadcast reaches the sockets of rooms, and can ask them something.
func ExampleOperator() {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		panic(err)
	}
	io.On("join", func(s *socketio.Socket) error { s.Join("jury"); return nil })

	socket, stop := serveExample(io, nil)
	defer stop()
	ctx := context.Background()
	socket.On("vote", func(name string) string { return "yes to " + name })
	if err := socket.Connect(ctx); err != nil {
		panic(err)
	}
	if _, err := socket.EmitWithAck(ctx, "join"); err != nil {
		panic(err)
	}
	answers, err := io.To("jury").Except("absent").EmitWithAck(ctx, "vote", "Ada")
	fmt.Println(answers, err)
	// Output: [["yes to Ada"]] <nil>
}
