package linktest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Recording is a golden file: what two servers of Node's, A and B, said to Redis, step by step, and
// what their clients were told (adapter/testdata/README.md).
type Recording struct {
	Sockets map[string]string
	Nodes   map[string]map[string]string // uids by server and namespace
	Steps   []Step
	Vectors []Vector
}

type Step struct {
	Name      string
	Delivered []delivery
	Vectors   []string
}

// delivery is what one client was told.
type delivery struct {
	Client     string
	Event      string
	Args       []any
	Disconnect string
	Ack        bool
}

type Vector struct {
	Name    string
	From    string
	Cmd     string
	Channel string
	B64     []byte
	Fields  [][2]string // of an entry of a stream
}

func ReadRecording(t *testing.T, name string) (rec Recording) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

// PlayB sets up what the recording's B had.
func PlayB(t *testing.T, rec Recording) (main, chat *Local) {
	b1 := &Socket{ID: rec.Sockets["b1"], Name: "b1", Rooms: []string{"r1", packet.NumberRoom(42), "twentycharsroomname1"}, Data: `{"who":"b1","n":1}`}
	b2 := &Socket{ID: rec.Sockets["b2"], Name: "b2", Rooms: []string{"r2", "room with space é"}, Data: `{"who":"b2","n":1}`}
	main = NewLocal("/", b1, b2)
	main.Acks = func(s *Socket, event string) (packet.Payload, bool) {
		switch event {
		case "ackme":
			return Text(`"ack ` + s.Name + `"`), true
		case "ackbin":
			p := Text(`{"_placeholder":true,"num":0}`)
			p.Attachments = [][]byte{{9, 8, 7}}
			return p, true
		case "ackobj":
			return Text(`{"who":"` + s.Name + `","f":0.5,"d":[1,null]}`), true
		case "ackmulti":
			return Text(`"first"`, `"second"`), true
		case "acknone":
			return Text(), true
		}
		return packet.Payload{}, false
	}
	main.Handle = func(event string) (packet.Payload, bool) {
		switch event {
		case "sse-ack":
			return Text(`"pong from B"`), true
		case "sse-ack-obj":
			return Text(`{"from":"B","n":1.5,"b":{"type":"Buffer","data":[1,2]}}`), true
		case "sse-ack-undef":
			return Text(), true
		}
		return packet.Payload{}, false
	}
	for _, v := range rec.Vectors { // handshakes, as B described them
		if a, err := wire.ParseResponse(v.B64); err == nil && v.From == "B-pub" {
			for _, s := range a.Sockets {
				for _, mine := range main.Sockets {
					if mine.ID == s.ID {
						mine.Shake = s.Handshake
					}
				}
			}
		}
	}
	return main, NewLocal("/chat", &Socket{ID: rec.Sockets["d1"], Name: "d1"})
}

// Replay plays A of a classic recording to a server that plays B.
type Replay struct {
	Client     *redis.Client
	Responses  *redis.PubSub
	Main, Chat *Local
	Mark       *Local // of a namespace that is used to learn that all was heard
	sentinels  int
}

// Step says what others than B said in it, and compares.
func (p *Replay) Step(t *testing.T, rec Recording, step Step) {
	t.Helper()
	if strings.HasPrefix(step.Name, "fetch-data-binary") {
		// Before this step b1's data was set.
		p.Main.Sockets[0].Data = `{"who":"b1","n":1,"bin":{"type":"Buffer","data":[1,2]},"d":"2023-11-14T22:13:20.123Z"}`
		defer func() { p.Main.Sockets[0].Data = `{"who":"b1","n":1}` }()
	}
	var want []Vector
	said := map[string]int{} // answers of others, which are heard back
	for _, name := range step.Vectors {
		for _, v := range rec.Vectors {
			switch {
			case v.Name != name || v.Cmd != "PUBLISH":
			case v.From == "B-pub":
				want = append(want, v)
			default:
				if strings.Contains(v.Channel, "-response#") {
					said[string(v.B64)]++
				}
				if err := p.Client.Publish(t.Context(), v.Channel, v.B64).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	p.heard(t)
	// A may have said the very bytes that B did, before or after us, so the order is for other
	// tests.
	answers, wanted := p.answers(t, said), p.recorded(want)
	slices.Sort(answers)
	slices.Sort(wanted)
	if !slices.Equal(answers, wanted) {
		t.Errorf("%s: answered\n%q, want\n%q", step.Name, answers, wanted)
	}
	sameDeliveries(t, step, append(p.Main.Take(), p.Chat.Take()...))
}

// heard returns once all broadcasts that were published have been heard. Miniredis does not keep
// the order between patterns and channels, so answers cannot tell.
func (p *Replay) heard(t *testing.T) {
	t.Helper()
	msg, err := wire.AppendBroadcast(nil, "foreig", "/mark", Text(`"mark"`), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Client.Publish(t.Context(), "socket.io#/mark#", msg).Err(); err != nil {
		t.Fatal(err)
	}
	Wait(t, p.Mark, 1)
}

// answers reads what was answered, up to the answer to a request made for that; not what others had
// said.
func (p *Replay) answers(t *testing.T, said map[string]int) (answers []string) {
	t.Helper()
	p.sentinels++
	id := fmt.Sprintf("sentinel-%d", p.sentinels)
	q := fmt.Sprintf(`{"requestId":%q,"type":0,"rooms":["nobody is here"]}`, id)
	if err := p.Client.Publish(t.Context(), "socket.io-request#/#", q).Err(); err != nil {
		t.Fatal(err)
	}
	for {
		msg, err := p.Responses.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch payload := []byte(msg.Payload); {
		case string(wire.ResponseID(payload)) == id:
			return answers
		case said[msg.Payload] > 0:
			said[msg.Payload]--
		default:
			answers = append(answers, msg.Channel+" "+Normal(payload))
		}
	}
}

func (p *Replay) recorded(want []Vector) (answers []string) {
	for _, v := range want {
		// Node answers to a server named undefined when it has no name; we answer where all hear
		// it.
		channel := strings.TrimSuffix(v.Channel, "undefined#")
		answers = append(answers, channel+" "+Normal(v.B64))
	}
	return answers
}

// Normal is a payload as it is; but the headers of a handshake have no order here.
func Normal(payload []byte) string {
	if !bytes.Contains(payload, []byte(`"headers":{`)) {
		return string(payload)
	}
	var v any
	_ = json.Unmarshal(payload, &v)
	sorted, _ := json.Marshal(v)
	return string(sorted)
}

func describe(t *testing.T, g Got) string {
	t.Helper()
	if g.Gone {
		return g.Who + " disconnected"
	}
	var values []any
	if err := json.Unmarshal(g.Payload.JSON, &values); err != nil {
		t.Fatalf("%s: %v", g.Payload.JSON, err)
	}
	return g.Who + " " + print(t, tagged(values, g.Payload.Attachments))
}

func (d delivery) describe(t *testing.T) string {
	t.Helper()
	if d.Disconnect != "" {
		return d.Client + " disconnected"
	}
	return d.Client + " " + print(t, append([]any{d.Event}, d.Args...))
}

func print(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// tagged puts attachments where their placeholders are, as the golden files show them.
func tagged(v any, attachments [][]byte) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = tagged(v[i], attachments)
		}
	case map[string]any:
		if v["_placeholder"] == true {
			return map[string]any{"$bin": base64.StdEncoding.EncodeToString(attachments[int(v["num"].(float64))])}
		}
		for k := range v {
			v[k] = tagged(v[k], attachments)
		}
	}
	return v
}

// sameDeliveries compares what B's clients were told with what they were told in the recording.
func sameDeliveries(t *testing.T, step Step, told []Got) {
	t.Helper()
	var delivered, expected []string
	for _, g := range told {
		if g.Payload.JSON != nil && g.Who != "server" || g.Gone {
			delivered = append(delivered, describe(t, g))
		}
	}
	for _, d := range step.Delivered {
		if strings.HasPrefix(d.Client, "b") || d.Client == "d1" {
			expected = append(expected, d.describe(t))
		}
	}
	if !slices.Equal(delivered, expected) {
		t.Errorf("%s: delivered\n%q, want\n%q", step.Name, delivered, expected)
	}
}
