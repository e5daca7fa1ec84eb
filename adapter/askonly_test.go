package adapter

import (
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// TestAskOnly: a member that serves nobody asks everybody, and nobody counts or asks it.
func TestAskOnly(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]Form{"classic": Classic{}, "sharded": Sharded{}, "streams": Streams{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := on(testkit.StartRedis(t).URL())
			cfg.Form = form
			one, two, outside := linktest.NewLocal("/", &linktest.Socket{ID: "a"}), linktest.NewLocal("/", &linktest.Socket{ID: "b"}), linktest.NewLocal("/")
			for _, l := range []*linktest.Local{one, two} {
				l.Acks = func(*linktest.Socket, string) (packet.Payload, bool) { return linktest.Text(`"yes"`), true }
			}
			first, asked := start(t, cfg, one)
			second, others := start(t, cfg, two)
			cfg.AskOnly = true
			third, asker := start(t, cfg, outside)
			linktest.Meet(t, first, second, third)
			ctx := linktest.Background(t)
			for what, a := range map[string]cluster.Adapter{"a server": asked[0], "another": others[0], "the asker": asker[0]} {
				if n, err := a.ServerCount(ctx); err != nil || n != 2 {
					t.Errorf("%s counts %d servers, %v", what, n, err)
				}
			}
			if peers := asked[0].Peers(); len(peers) != 1 {
				t.Errorf("a server knows %v", peers)
			}
			if peers := asker[0].Peers(); len(peers) != 2 {
				t.Errorf("the asker knows %v", peers)
			}
			clients, answers, err := linktest.AskClients(ctx, asker[0], &cluster.Broadcast{Data: linktest.Text(`"ask"`)}, time.Minute)
			if err != nil || clients != 2 || len(answers) != 2 {
				t.Errorf("the asker asks %d clients: %v, %v", clients, answers, err)
			}
			clients, _, err = linktest.AskClients(ctx, asked[0], &cluster.Broadcast{Data: linktest.Text(`"ask"`)}, time.Minute)
			if err != nil || clients != 1 {
				t.Errorf("a server asks %d clients: %v", clients, err)
			}
			found := 0
			err = asker[0].Ask(ctx, cluster.Question{Kind: cluster.AskSockets}, func(a cluster.Answer) { found += len(a.Sockets) })
			if err != nil || found != 2 {
				t.Errorf("the asker finds %d sockets: %v", found, err)
			}
			if log := outside.Take(); len(log) != 0 {
				t.Errorf("the asker was asked %v", log)
			}
		})
	}
}
