package adapter

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Nobody builds a message to find that it is too large: 1000 times the same 64 KiB cost what 64 KiB
// cost.
func TestOversizedMessagesAreNotBuilt(t *testing.T) {
	attachment := bytes.Repeat([]byte("x"), 64<<10)
	bomb, err := packet.EncodeEvent("ev", repeated(attachment, 1000)...)
	if err != nil {
		t.Fatal(err)
	}
	fits, err := packet.EncodeEvent("ev", repeated(attachment, 10)...)
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]Form{
		"classic": Classic{}, "a parser": Classic{Parser: deflated{}}, "sharded": Sharded{}, "streams": Streams{},
	} {
		t.Run(name, func(t *testing.T) {
			url := testkit.StartRedis(t).URL()
			cfg := Config{Redis: at(url), Form: form, MaxMessageBytes: 1 << 20}
			sender, adapters := start(t, cfg, linktest.NewLocal("/"))
			l := linktest.NewLocal("/", &linktest.Socket{ID: "s", Name: "s"})
			receiver, _ := start(t, cfg, l)
			linktest.Meet(t, sender, receiver)
			a, ctx := adapters[0], linktest.Background(t)
			ways := map[string]func(p packet.Payload) error{
				"broadcast": func(p packet.Payload) error { return a.Broadcast(&cluster.Broadcast{Data: p}) },
				"event":     func(p packet.Payload) error { return a.Order(cluster.Order{Kind: cluster.Raise, Event: p}) },
				"question":  func(p packet.Payload) error { _, err := linktest.AskServers(ctx, a, p); return err },
				"with answers": func(p packet.Payload) error {
					_, _, err := linktest.AskClients(ctx, a, &cluster.Broadcast{Data: p}, time.Hour)
					return err
				},
			}
			if rec, ok := a.(cluster.RecoveringAdapter); ok {
				log := rec.Recover(time.Minute, 1<<20, func(cluster.Snapshot) {})
				ways["for recovery"] = func(p packet.Payload) error { return log.Emit(&cluster.Broadcast{Data: p}) }
			}
			for way, send := range ways {
				done := testkit.BoundCost(t, len(attachment)/1000)
				err := send(bomb)
				if done(); !errors.Is(err, ErrTooLarge) {
					t.Errorf("%s: %v", way, err)
				}
			}
			if err := a.Broadcast(&cluster.Broadcast{Data: fits}); err != nil {
				t.Error("what fits:", err)
			}
			if g := linktest.Wait(t, l, 1)[0]; len(g.Payload.Attachments) != 10 {
				t.Errorf("%d attachments came", len(g.Payload.Attachments))
			}
		})
	}
}

func repeated(b []byte, times int) (args []any) {
	for range times {
		args = append(args, b)
	}
	return args
}
