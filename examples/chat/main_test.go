package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/sidereal-io/sidereal/socketio"
)

// serve runs the chat on two servers that share their rooms, as on two hosts.
func serve(t *testing.T) (urls []string) {
	hub := socketio.NewHub()
	for range 2 {
		io, err := socketio.New(socketio.Config{Adapter: hub})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		if err := chat(ctx, io); err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() { io.Run(ctx) })
		server := httptest.NewServer(io)
		t.Cleanup(func() {
			cancel()
			running.Wait()
			server.Close()
		})
		urls = append(urls, strings.Replace(server.URL, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket")
	}
	return urls
}

// client speaks raw packets.
type client struct {
	t    *testing.T
	send func(packet string)
	next func() string
}

func dial(t *testing.T, url string) *client {
	conn, early, _, err := ws.Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	rw := wsutil.NewReader(conn, ws.StateClientSide)
	if early != nil {
		rw.Source = early
	}
	c := &client{t: t, send: func(packet string) { wsutil.WriteClientText(conn, []byte(packet)) }}
	c.next = func() string {
		if _, err := rw.NextFrame(); err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		buf := make([]byte, 4096)
		for {
			n, err := rw.Read(buf)
			text.Write(buf[:n])
			if err != nil {
				return text.String()
			}
		}
	}
	c.next() // the open packet
	return c
}

func (c *client) want(parts ...string) {
	c.t.Helper()
	got := c.next()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			c.t.Fatalf("got %q, want %q", got, parts)
		}
	}
}

func TestChat(t *testing.T) {
	urls := serve(t)
	nobody := dial(t, urls[0])
	nobody.send(`40{"name":" "}`)
	nobody.want(`44{"message":"say who you are"}`)

	ada, bob := dial(t, urls[0]), dial(t, urls[1])
	ada.send(`40{"name":"Ada"}`)
	ada.want(`40{"sid"`)
	bob.send(`40{"name":"Bob"}`)
	bob.want(`40{"sid"`)
	ada.send(`420["join","lobby"]`)
	ada.want(`430[["Ada"]]`)
	bob.send(`420["say","lobby","too early"]`)
	bob.want(`430[{"error":"join the room first","data":"lobby"}]`)
	bob.send(`421["join","lobby"]`)
	bob.want(`431[["Ada","Bob"]]`)
	ada.want(`42["joined","lobby","Bob"]`)
	bob.send(`422["say","lobby","hello"]`)
	bob.want(`432[{"room":"lobby","from":"Bob","text":"hello","at":"`)
	ada.want(`42["said",{"room":"lobby","from":"Bob","text":"hello","at":"`)
	bob.send(`41`)
	ada.want(`42["left","lobby","Bob"]`)
}
