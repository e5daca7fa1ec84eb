package classic

import (
	"context"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/link"
	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// TestStrangersAnswerEachOtherAsOurs has two servers that never hear each other's heartbeats, as in
// the first moments after a start. A question still gets binary as binary, and answers that name
// their server.
func TestStrangersAnswerEachOtherAsOurs(t *testing.T) {
	here, there := miniredis.RunT(t), miniredis.RunT(t)
	const data = `{"key":{"_placeholder":true,"num":0},"n":9007199254740993}`
	far := linktest.NewLocal("/", &linktest.Socket{ID: "far", Name: "far", Data: data, Bin: [][]byte{{0, 1, 255}}})
	far.Handle = func(string) (packet.Payload, bool) { return linktest.Text(`"pong"`), true }
	far.Acks = func(*linktest.Socket, string) (packet.Payload, bool) { return linktest.Text(`"ack"`), true }
	start(t, linktest.URL(there), Config{}, far)

	// The bridge subscribes to the requests here, so that the asker counts one server.
	requests, answers := linktest.Dial(t, here).Subscribe(t.Context(), "socket.io-request#/#"), linktest.Dial(t, there).PSubscribe(t.Context(), "socket.io-response#*")
	for _, sub := range []*redis.PubSub{requests, answers} {
		if _, err := sub.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx := linktest.Background(t)
	carry(ctx, t, requests, linktest.Dial(t, there), func(m *redis.Message) {})
	carry(ctx, t, answers, linktest.Dial(t, here), func(m *redis.Message) {
		a, err := wire.ParseResponse([]byte(m.Payload))
		if err != nil || a.UID == "" || strings.Count(m.Channel, "#") != 3 {
			t.Errorf("%s on %s, %v: want an answer with a name, to the asker alone", m.Payload, m.Channel, err)
		}
	})

	f, err := New(link.Config{Conn: linktest.Connect(t, linktest.URL(here)), OwnConn: true}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	adapters, _ := linktest.Start(t, f, linktest.NewLocal("/"))
	near := adapters[0]

	found, err := linktest.Fetch(ctx, near, cluster.Target{})
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	if d := found[0].Data; string(d.JSON) != data || len(d.Attachments) != 1 || string(d.Attachments[0]) != "\x00\x01\xff" {
		t.Errorf("%s with %v, want %s", d.JSON, d.Attachments, data)
	}
	if rooms, err := linktest.Rooms(ctx, near); err != nil || len(rooms) != 1 {
		t.Error(rooms, err)
	}
	if pongs, err := linktest.AskServers(ctx, near, linktest.Text(`"ping"`)); err != nil || len(pongs) != 1 {
		t.Error(pongs, err)
	}
	if n, acks, err := linktest.AskClients(ctx, near, &cluster.Broadcast{Data: linktest.Text(`"ev"`)}, 0); err != nil || n != 1 || len(acks) != 1 {
		t.Error(n, acks, err)
	}
}

// carry publishes elsewhere what sub hears, until the test ends.
func carry(ctx context.Context, t *testing.T, sub *redis.PubSub, to *redis.Client, look func(*redis.Message)) {
	heard, done := sub.Channel(), make(chan struct{})
	t.Cleanup(func() {
		_ = sub.Close()
		<-done
	})
	go func() {
		defer close(done)
		for m := range heard {
			look(m)
			if err := to.Publish(ctx, m.Channel, m.Payload).Err(); err != nil {
				t.Error(err)
			}
		}
	}()
}
