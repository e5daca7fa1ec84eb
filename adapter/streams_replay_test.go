package adapter

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
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
			p := &streamsReplay{main: main, chat: chat, reader: r.form.(*streams).reader, uidA: rec.Nodes["A"], uidB: map[string]string{}}
			for _, a := range adapters {
				n := a.(streamNamespace)
				p.uidB[n.name] = n.uid
				if name == "streams-csr" {
					n.Recover(socketio.Recovery{MaxDisconnection: time.Minute})
				}
			}
			p.client = redis.NewClient(&redis.Options{Addr: server.Addr()})
			defer p.client.Close()
			own := []string{"socket.io#/#" + p.uidA["/"] + "#", "socket.io#/chat#" + p.uidA["/chat"] + "#"}
			if cfg.UseShardedPubSub {
				p.responses, p.publish = p.client.SSubscribe(t.Context(), own...), "SPUBLISH"
			} else {
				p.responses, p.publish = p.client.Subscribe(t.Context(), own...), "PUBLISH"
			}
			defer p.responses.Close()
			for range own {
				if _, err := p.responses.Receive(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
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
	client     *redis.Client
	responses  *redis.PubSub
	publish    string // the command
	reader     *streamReader
	main, chat *fakeLocal
	uidA, uidB map[string]string // by namespace
	sentinels  int
}

// step says what A said in it, and compares what B's clients heard, and what B answered.
func (p *streamsReplay) step(t *testing.T, rec recording, step recordedStep) {
	t.Helper()
	var wanted []string
	for _, name := range step.Vectors {
		for _, v := range rec.Vectors {
			switch {
			case v.Name != name || v.From == "B-pub" && v.Cmd == "XADD":
			case v.Cmd == "XADD":
				p.add(t, v)
			case v.Cmd == p.publish && v.From == "B-pub":
				payload := string(v.B64)
				for nsp, uid := range rec.Nodes["B"] {
					payload = strings.ReplaceAll(payload, uid, p.uidB[nsp])
				}
				wanted = append(wanted, v.Channel+" "+normalPacked(t, []byte(payload)))
			case v.Cmd == p.publish:
				if err := p.client.Do(t.Context(), p.publish, v.Channel, v.B64).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	answers := p.answers(t)
	if !strings.HasPrefix(step.Name, "fetch-data-binary") { // binary in a socket's data is JSON here
		slices.Sort(answers)
		slices.Sort(wanted)
		if !slices.Equal(answers, wanted) {
			t.Errorf("%s: answered\n%q, want\n%q", step.Name, answers, wanted)
		}
	}
	for i, d := range step.Delivered { // offsets are those of then
		if n := len(d.Args) - 1; n >= 0 {
			if text, ok := d.Args[n].(string); ok {
				if _, ok := parseOffset(text); ok {
					step.Delivered[i].Args = d.Args[:n]
				}
			}
		}
	}
	sameDeliveries(t, step, append(p.main.take(), p.chat.take()...))
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

// answers reads what was answered, up to the answer to a request made for that.
func (p *streamsReplay) answers(t *testing.T) (answers []string) {
	t.Helper()
	p.sentinels++
	id := fmt.Sprintf("sentinel-%d", p.sentinels)
	q := wire.Request{UID: p.uidA["/"], ID: []byte(`"` + id + `"`), Type: wire.RemoteFetch, Options: wire.Options{Rooms: []string{"nobody is here"}}}
	msg, err := wire.AppendPackedRequest(nil, "/", q)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.client.Do(t.Context(), p.publish, "socket.io#/#", msg).Err(); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := p.responses.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(m.Payload, id) {
			return answers
		}
		answers = append(answers, m.Channel+" "+normalPacked(t, []byte(m.Payload)))
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
