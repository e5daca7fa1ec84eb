package adapter

import (
	"testing"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// TestShardedReplay has a Go server play B of the sharded recordings, as TestReplay does for the classic ones.
func TestShardedReplay(t *testing.T) {
	for _, mode := range []Mode{Static, Dynamic, DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			rec := readRecording(t, "sharded-"+string(mode)+".json")
			server := testkit.StartRedis(t)
			main, chat := playClusterB(t, rec)
			r, err := NewSharded(ShardedConfig{Config: Config{URL: server.URL()}, Mode: mode})
			if err != nil {
				t.Fatal(err)
			}
			_, adapters := startRedis(t, r, main, chat)
			p := &clusterReplay{publish: "SPUBLISH", pack: wire.AppendClusterRequest, text: func(_ *testing.T, msg []byte) string { return normal(msg) },
				main: main, chat: chat, uidA: rec.Nodes["A"], uidB: map[string]string{}}
			for _, a := range adapters {
				n := a.(*namespace)
				p.uidB[n.name] = n.uid
			}
			p.listen(t, server.Addr())
			if mode != Static {
				testkit.Until(t, "the room to have its channel", func() bool { return p.subscribers(t, "socket.io#/#room with space é#") == 1 })
			}
			for _, step := range rec.Steps {
				if step.Name == "close-B" {
					break
				}
				p.step(t, rec, step)
			}
		})
	}
}

func playClusterB(t *testing.T, rec recording) (main, chat *fakeLocal) {
	main, chat = playB(t, rec)
	handle := main.handle
	main.handle = func(event string) (packet.Payload, bool) {
		if event == "sse-ack-obj" { // the answer was sent as it is here, not as JSON would have it
			p := text(`{"from":"B","n":1.5,"b":{"_placeholder":true,"num":0}}`)
			p.Attachments = [][]byte{{1, 2}}
			return p, true
		}
		return handle(event)
	}
	for _, v := range rec.Vectors {
		c, err := wire.ParseCluster(v.B64)
		if err != nil || v.From != "B-pub" || c.Type != wire.ClusterFetchResponse {
			continue
		}
		a, err := c.Response()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range a.Sockets {
			for _, mine := range main.sockets {
				if mine.id == s.ID {
					mine.shake = socketInfo(s).Handshake
				}
			}
		}
	}
	return main, chat
}
