package main

import (
	"testing"
	"time"

	"github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

// said is what the chat's page reads.
type said struct {
	Room, From, Text string
	At               time.Time
}

// serve runs a server whose clients are all in the lobby, and returns its URL.
func serve(t *testing.T, redis string) string {
	cluster, err := adapter.New(adapter.Config{Redis: sidereal.Redis{URL: redis}})
	if err != nil {
		t.Fatal(err)
	}
	io, err := socketio.New(socketio.Config{Adapter: cluster})
	if err != nil {
		t.Fatal(err)
	}
	io.OnConnect(func(s *socketio.Socket) { s.Join("room:lobby") })
	server := testkit.Serve(t, io)
	if err := cluster.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server.URL
}

func TestTheRoomHears(t *testing.T) {
	redis := "redis://" + testkit.MiniRedis(t).Addr()
	c, err := client.New(client.Config{URL: serve(t, redis)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	heard := make(chan said, 2)
	c.Of("/").On("said", func(m said) { heard <- m })
	if err := c.Of("/").Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SIDEREAL_REDIS_URL", redis)
	for _, room := range []string{"elsewhere", "lobby"} {
		if err := say(t.Context(), room, "Lunch is ready"); err != nil {
			t.Fatal(err)
		}
	}
	got := testkit.Receive(t, "what was said", heard)
	if got.Room != "lobby" || got.From != "cron" || got.Text != "Lunch is ready" || got.At.IsZero() {
		t.Errorf("%+v", got)
	}
}

func TestNobodyListens(t *testing.T) {
	m := testkit.MiniRedis(t)
	addr := m.Addr()
	m.Close()
	for _, scheme := range []string{"redis", "http"} {
		t.Setenv("SIDEREAL_REDIS_URL", scheme+"://"+addr)
		if err := say(t.Context(), "lobby", "Lunch is ready"); err == nil {
			t.Errorf("%s: no error without Redis", scheme)
		}
	}
}
