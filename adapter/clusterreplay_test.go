package adapter

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// clusterReplay plays A of a recording of one of the forms whose servers know each other by uids.
type clusterReplay struct {
	publish string // the command
	pack    func(dst []byte, namespace string, q wire.Request) ([]byte, error)
	text    func(t *testing.T, msg []byte) string // what an answer says, the order of headers aside
	add     func(t *testing.T, v recordedVector)  // has an entry of A's read, where there are streams

	client     *redis.Client
	responses  *redis.PubSub
	main, chat *fakeLocal
	uidA, uidB map[string]string // by namespace
	sentinels  int
}

// listen connects A, which hears B's answers from then on.
func (p *clusterReplay) listen(t *testing.T, addr string) {
	t.Helper()
	p.client = redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { p.client.Close() })
	own := []string{"socket.io#/#" + p.uidA["/"] + "#", "socket.io#/chat#" + p.uidA["/chat"] + "#"}
	if p.publish == "SPUBLISH" {
		p.responses = p.client.SSubscribe(t.Context(), own...)
	} else {
		p.responses = p.client.Subscribe(t.Context(), own...)
	}
	t.Cleanup(func() { p.responses.Close() })
	for range own {
		if _, err := p.responses.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *clusterReplay) subscribers(t *testing.T, channel string) int64 {
	t.Helper()
	n, err := p.client.PubSubShardNumSub(t.Context(), channel).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n[channel]
}

// step says what A said in it, and compares what B's clients heard, and what B answered.
func (p *clusterReplay) step(t *testing.T, rec recording, step recordedStep) {
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
				wanted = append(wanted, v.Channel+" "+p.text(t, []byte(payload)))
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
	sameDeliveries(t, step, append(p.main.take(), p.chat.take()...))
}

// answers reads what was answered, up to the answer to a request made for that: Redis keeps the order of one publisher.
func (p *clusterReplay) answers(t *testing.T) (answers []string) {
	t.Helper()
	p.sentinels++
	id := fmt.Sprintf("sentinel-%d", p.sentinels)
	q := wire.Request{UID: p.uidA["/"], ID: []byte(`"` + id + `"`), Type: wire.RemoteFetch, Options: wire.Options{Rooms: []string{"nobody is here"}}}
	msg, err := p.pack(nil, "/", q)
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
		answers = append(answers, m.Channel+" "+p.text(t, []byte(m.Payload)))
	}
}
