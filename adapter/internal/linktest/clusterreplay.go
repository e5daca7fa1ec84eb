package linktest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// ClusterReplay plays A of a recording of one of the forms whose servers know each other by uids.
type ClusterReplay struct {
	Publish string // the command
	Pack    func(dst []byte, namespace string, q wire.Request) ([]byte, error)
	Text    func(t *testing.T, msg []byte) string // what an answer says, the order of headers aside
	Add     func(t *testing.T, v Vector)          // has an entry of A's read, where there are streams

	Client     *redis.Client
	responses  *redis.PubSub
	Main, Chat *Local
	UIDA, UIDB map[string]string // by namespace
	sentinels  int
}

// Listen connects A, which hears B's answers from then on.
func (p *ClusterReplay) Listen(t *testing.T, addr string) {
	t.Helper()
	p.Client = redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { p.Client.Close() })
	own := []string{"socket.io#/#" + p.UIDA["/"] + "#", "socket.io#/chat#" + p.UIDA["/chat"] + "#"}
	if p.Publish == "SPUBLISH" {
		p.responses = p.Client.SSubscribe(t.Context(), own...)
	} else {
		p.responses = p.Client.Subscribe(t.Context(), own...)
	}
	t.Cleanup(func() { p.responses.Close() })
	for range own {
		if _, err := p.responses.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Subscribers counts the subscribers of a channel of sharded pub/sub.
func (p *ClusterReplay) Subscribers(t *testing.T, channel string) int64 {
	t.Helper()
	n, err := p.Client.PubSubShardNumSub(t.Context(), channel).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n[channel]
}

// Step says what A said in it, and compares what B's clients heard, and what B answered.
func (p *ClusterReplay) Step(t *testing.T, rec Recording, step Step) {
	t.Helper()
	var wanted []string
	for _, name := range step.Vectors {
		for _, v := range rec.Vectors {
			switch {
			case v.Name != name || v.From == "B-pub" && v.Cmd == "XADD":
			case v.Cmd == "XADD":
				p.Add(t, v)
			case v.Cmd == p.Publish && v.From == "B-pub":
				payload := string(v.B64)
				for nsp, uid := range rec.Nodes["B"] {
					payload = strings.ReplaceAll(payload, uid, p.UIDB[nsp])
				}
				wanted = append(wanted, v.Channel+" "+p.Text(t, []byte(payload)))
			case v.Cmd == p.Publish:
				if err := p.Client.Do(t.Context(), p.Publish, v.Channel, v.B64).Err(); err != nil {
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
	sameDeliveries(t, step, append(p.Main.Take(), p.Chat.Take()...))
}

// answers reads what was answered, up to the answer to a request made for that: Redis keeps the
// order of one publisher.
func (p *ClusterReplay) answers(t *testing.T) (answers []string) {
	t.Helper()
	p.sentinels++
	id := fmt.Sprintf("sentinel-%d", p.sentinels)
	q := wire.Request{UID: p.UIDA["/"], ID: []byte(`"` + id + `"`), Type: wire.RemoteFetch, Options: wire.Options{Rooms: []string{"nobody is here"}}}
	msg, err := p.Pack(nil, "/", q)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Client.Do(t.Context(), p.Publish, "socket.io#/#", msg).Err(); err != nil {
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
		answers = append(answers, m.Channel+" "+p.Text(t, []byte(m.Payload)))
	}
}

// PlayClusterB is PlayB for the forms other than the classic one.
func PlayClusterB(t *testing.T, rec Recording) (main, chat *Local) {
	main, chat = PlayB(t, rec)
	handle := main.Handle
	main.Handle = func(event string) (packet.Payload, bool) {
		if event == "sse-ack-obj" { // the answer was sent as it is here, not as JSON would have it
			p := Text(`{"from":"B","n":1.5,"b":{"_placeholder":true,"num":0}}`)
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
			for _, mine := range main.Sockets {
				if mine.ID == s.ID {
					mine.Shake = s.Handshake
				}
			}
		}
	}
	return main, chat
}
