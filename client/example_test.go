package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
)

// A client that joins a room, asks, and answers a question of the server.
func Example() {
	url, stop := exampleServer()
	defer stop()

	c, err := client.New(client.Config{URL: url, Auth: map[string]string{"name": "Ada"}})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	io := c.Of("/")
	io.On("how old", func(unit string) (int, error) {
		if unit != "years" {
			return 0, &client.Error{Message: "no such unit"}
		}
		return 36, nil
	})
	if err := io.Connect(context.Background()); err != nil {
		log.Fatal(err)
	}
	text, err := client.Call[string](context.Background(), io, "greet")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
	// Output: Hello, Ada, aged 36!
}

func exampleServer() (url string, stop func()) {
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	io.On("greet", func(ctx context.Context, s *socketio.Socket) (string, error) {
		age, err := socketio.Call[int](ctx, s, "how old", "years")
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("Hello, %s, aged %d!", nameIn(s.Handshake().Auth), age), nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- io.Run(ctx) }()
	server := httptest.NewServer(io)
	return server.URL, func() {
		cancel()
		<-done
		server.Close()
	}
}

func nameIn(auth []byte) string {
	var a struct{ Name string }
	if err := json.Unmarshal(auth, &a); err != nil {
		return "nobody"
	}
	return a.Name
}
