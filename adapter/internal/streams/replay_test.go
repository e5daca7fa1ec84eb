package streams

import (
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/linktest"
	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestReplay has a Go server play B of the recordings over streams, as classic.TestReplay does for
// the classic ones.
func TestReplay(t *testing.T) {
	for name, cfg := range map[string]Config{
		"streams":         {},
		"streams-csr":     {},
		"streams-sharded": {ShardedPubSub: true, Streams: wire.Streams{Count: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			rec, emitter := linktest.ReadRecording(t, name+".json"), linktest.ReadRecording(t, "redis-streams-emitter.json")
			server := testkit.StartRedis(t)
			main, chat := linktest.PlayClusterB(t, rec)
			f, adapters := start(t, server.URL(), cfg, main, chat)
			p := &streamsReplay{reader: f.reader, ClusterReplay: linktest.ClusterReplay{
				Publish: "PUBLISH", Pack: wire.AppendPackedRequest, Text: normalPacked,
				Main: main, Chat: chat, UIDA: rec.Nodes["A"], UIDB: map[string]string{},
			}}
			p.Add = p.add
			if cfg.ShardedPubSub {
				p.Publish = "SPUBLISH"
			}
			for _, a := range adapters {
				n := a.(*namespace)
				p.UIDB[n.Name] = n.UID
				if name == "streams-csr" {
					n.Recover(time.Minute, 0, nil)
				}
			}
			p.Listen(t, server.Addr())
			for _, step := range rec.Steps {
				if step.Name == "close-B" || strings.HasPrefix(step.Name, "csr-") {
					break
				}
				p.step(t, rec, step)
				if step.Name == "remote-leave" && name == "streams" { // the emitter spoke here
					for _, step := range emitter.Steps {
						p.step(t, emitter, step)
					}
				}
			}
		})
	}
}

type streamsReplay struct {
	linktest.ClusterReplay
	reader *reader
}

// step is ClusterReplay's, whose deliveries have no offsets.
func (p *streamsReplay) step(t *testing.T, rec linktest.Recording, step linktest.Step) {
	t.Helper()
	for i, d := range step.Delivered { // offsets are those of then
		if n := len(d.Args) - 1; n >= 0 {
			if text, ok := d.Args[n].(string); ok {
				if _, ok := parseOffset(text); ok {
					step.Delivered[i].Args = d.Args[:n]
				}
			}
		}
	}
	p.ClusterReplay.Step(t, rec, step)
}

// add has A's entry read.
func (p *streamsReplay) add(t *testing.T, v linktest.Vector) {
	t.Helper()
	args := []any{"XADD", v.Channel, "*"}
	for _, f := range v.Fields {
		args = append(args, f[0], f[1])
	}
	id, err := p.Client.Do(t.Context(), args...).Text()
	if err != nil {
		t.Fatal(err)
	}
	at, _ := parseOffset(id)
	if !p.reader.streams[v.Channel].wait(t.Context(), at, 10*time.Second) {
		t.Fatal("not read")
	}
}

// normalPacked is a message as it is; but the headers of a handshake have no order here.
func normalPacked(t *testing.T, msg []byte) string {
	t.Helper()
	if !strings.Contains(string(msg), "handshake") {
		return string(msg)
	}
	text, _, err := wire.DecodeValue(nil, nil, msg)
	if err != nil {
		t.Fatal(err)
	}
	return linktest.Normal(text)
}
