package sharded

import (
	"testing"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestReplay has a Go server play B of the sharded recordings, as classic.TestReplay does for the
// classic ones.
func TestReplay(t *testing.T) {
	for _, mode := range []wire.Mode{wire.Static, wire.Dynamic, wire.DynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			rec := linktest.ReadRecording(t, "sharded-"+string(mode)+".json")
			server := testkit.StartRedis(t)
			main, chat := linktest.PlayClusterB(t, rec)
			_, adapters, _ := start(t, server.URL(), Config{Mode: mode}, main, chat)
			p := &linktest.ClusterReplay{Publish: "SPUBLISH", Pack: wire.AppendClusterRequest, Text: func(_ *testing.T, msg []byte) string { return linktest.Normal(msg) },
				Main: main, Chat: chat, UIDA: rec.Nodes["A"], UIDB: map[string]string{}}
			for _, a := range adapters {
				n := a.(*namespace)
				p.UIDB[n.Name] = n.UID
			}
			p.Listen(t, server.Addr())
			if mode != wire.Static {
				testkit.Until(t, "the room to have its channel", func() bool { return p.Subscribers(t, "socket.io#/#room with space é#") == 1 })
			}
			for _, step := range rec.Steps {
				if step.Name == "close-B" {
					break
				}
				p.Step(t, rec, step)
			}
		})
	}
}
