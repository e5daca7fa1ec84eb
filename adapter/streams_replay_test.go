package adapter

import (
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestStreamsReplay has a Go server play B of the recordings over streams, as TestReplay does for the classic ones.
func TestStreamsReplay(t *testing.T) {
	for name, cfg := range map[string]StreamsConfig{
		"streams":         {},
		"streams-csr":     {},
		"streams-sharded": {UseShardedPubSub: true, StreamCount: 2},
	} {
		t.Run(name, func(t *testing.T) {
			rec, emitter := readRecording(t, name+".json"), readRecording(t, "redis-streams-emitter.json")
			server := testkit.StartRedis(t)
			cfg.URL = server.URL()
			r, err := NewStreams(cfg)
			if err != nil {
				t.Fatal(err)
			}
			main, chat := playClusterB(t, rec)
			_, adapters := startRedis(t, r, main, chat)
			p := &streamsReplay{reader: r.form.(forgetful).form.(*streams).reader, clusterReplay: clusterReplay{
				publish: "PUBLISH", pack: wire.AppendPackedRequest, text: normalPacked,
				main: main, chat: chat, uidA: rec.Nodes["A"], uidB: map[string]string{},
			}}
			p.clusterReplay.add = p.add
			if cfg.UseShardedPubSub {
				p.publish = "SPUBLISH"
			}
			for _, a := range adapters {
				n := a.(streamNamespace)
				p.uidB[n.name] = n.uid
				if name == "streams-csr" {
					n.Recover(time.Minute, 0)
				}
			}
			p.listen(t, server.Addr())
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
	clusterReplay
	reader *streamReader
}

// step is clusterReplay's, whose deliveries have no offsets.
func (p *streamsReplay) step(t *testing.T, rec recording, step recordedStep) {
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
	p.clusterReplay.step(t, rec, step)
}

// add has A's entry read.
func (p *streamsReplay) add(t *testing.T, v recordedVector) {
	t.Helper()
	args := []any{"XADD", v.Channel, "*"}
	for _, f := range v.Fields {
		args = append(args, f[0], f[1])
	}
	id, err := p.client.Do(t.Context(), args...).Text()
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
	return normal(text)
}
