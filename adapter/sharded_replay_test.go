package adapter

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
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
			p := &shardedReplay{main: main, chat: chat, uidA: rec.Nodes["A"], uidB: map[string]string{}}
			for _, a := range adapters {
				n := a.(*namespace)
				p.uidB[n.name] = n.uid
			}
			p.client = redis.NewClient(&redis.Options{Addr: server.Addr()})
			defer p.client.Close()
			p.responses = p.client.SSubscribe(t.Context(), "socket.io#/#"+p.uidA["/"]+"#", "socket.io#/chat#"+p.uidA["/chat"]+"#")
			defer p.responses.Close()
			for range 2 {
				if _, err := p.responses.Receive(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if mode != Static {
				until(t, func() bool { return p.subscribers(t, "socket.io#/#room with space é#") == 1 })
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
	main.handle = func(event string) (socketio.Payload, bool) {
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

type shardedReplay struct {
	client     *redis.Client
	responses  *redis.PubSub
	main, chat *fakeLocal
	uidA, uidB map[string]string // by namespace
	sentinels  int
}

func (p *shardedReplay) subscribers(t *testing.T, channel string) int64 {
	t.Helper()
	n, err := p.client.PubSubShardNumSub(t.Context(), channel).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n[channel]
}

// step says what A said in it, and compares what B's clients heard, and what B answered.
func (p *shardedReplay) step(t *testing.T, rec recording, step recordedStep) {
	t.Helper()
	var wanted []string
	for _, name := range step.Vectors {
		for _, v := range rec.Vectors {
			switch {
			case v.Name != name || v.Cmd != "SPUBLISH":
			case v.From == "B-pub":
				payload := string(v.B64)
				for nsp, uid := range rec.Nodes["B"] {
					payload = strings.ReplaceAll(payload, uid, p.uidB[nsp])
				}
				wanted = append(wanted, v.Channel+" "+normal([]byte(payload)))
			default:
				if err := p.client.SPublish(t.Context(), v.Channel, v.B64).Err(); err != nil {
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
	sameDeliveries(t, step, append(p.main.take(), p.chat.take()...))
}

// answers reads what was answered, up to the answer to a request made for that: Redis keeps the order of one publisher.
func (p *shardedReplay) answers(t *testing.T) (answers []string) {
	t.Helper()
	p.sentinels++
	id := fmt.Sprintf("sentinel-%d", p.sentinels)
	q := wire.Request{UID: p.uidA["/"], ID: []byte(`"` + id + `"`), Type: wire.RemoteFetch, Options: wire.Options{Rooms: []string{"nobody is here"}}}
	msg, err := wire.AppendClusterRequest(nil, "/", q)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.client.SPublish(t.Context(), "socket.io#/#", msg).Err(); err != nil {
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
		answers = append(answers, m.Channel+" "+normal([]byte(m.Payload)))
	}
}
