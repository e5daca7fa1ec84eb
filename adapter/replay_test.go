package adapter

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

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// recording is a golden file: what two servers of Node's, A and B, said to Redis, step by step, and what their clients
// were told (docs/adapter-wire.md, 11).
type recording struct {
	Sockets map[string]string
	Nodes   map[string]map[string]string // uids by server and namespace
	Steps   []recordedStep
	Vectors []recordedVector
}

type recordedStep struct {
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

type recordedVector struct {
	Name    string
	From    string
	Cmd     string
	Channel string
	B64     []byte
	Fields  [][2]string // of an entry of a stream
}

func readRecording(t *testing.T, name string) (rec recording) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &rec); err != nil {
		t.Fatal(err)
	}
	return rec
}

// TestReplay has a Go server play B: it is told all that A said, and its clients must hear what B's heard, and its
// answers be B's, byte by byte.
func TestReplay(t *testing.T) {
	for _, name := range []string{"classic.json", "classic-specific.json"} {
		t.Run(name, func(t *testing.T) {
			rec, emitter := readRecording(t, name), readRecording(t, "redis-emitter.json")
			m := miniredis.RunT(t)
			main, chat := playB(t, rec)
			mark := newFakeLocal("/mark", &fakeSocket{id: "mark", name: "mark"})
			start(t, Config{URL: url(m), SpecificResponses: name != "classic.json"}, main, chat, mark)
			p := &replay{client: dial(t, m), main: main, chat: chat, mark: mark}
			p.responses = p.client.PSubscribe(t.Context(), "socket.io-response#*")
			defer p.responses.Close()
			if _, err := p.responses.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, step := range rec.Steps {
				if step.Name == "close-B" {
					break
				}
				p.step(t, rec, step)
				if step.Name == "remote-leave" && name == "classic.json" { // the emitter spoke here
					for _, step := range emitter.Steps {
						p.step(t, emitter, step)
					}
				}
			}
		})
	}
}

// playB sets up what the recording's B had.
func playB(t *testing.T, rec recording) (main, chat *fakeLocal) {
	b1 := &fakeSocket{id: rec.Sockets["b1"], name: "b1", rooms: []string{"r1", packet.NumberRoom(42), "twentycharsroomname1"}, data: `{"who":"b1","n":1}`}
	b2 := &fakeSocket{id: rec.Sockets["b2"], name: "b2", rooms: []string{"r2", "room with space é"}, data: `{"who":"b2","n":1}`}
	main = newFakeLocal("/", b1, b2)
	main.answer = func(s *fakeSocket, event string) (packet.Payload, bool) {
		switch event {
		case "ackme":
			return text(`"ack ` + s.name + `"`), true
		case "ackbin":
			p := text(`{"_placeholder":true,"num":0}`)
			p.Attachments = [][]byte{{9, 8, 7}}
			return p, true
		case "ackobj":
			return text(`{"who":"` + s.name + `","f":0.5,"d":[1,null]}`), true
		case "ackmulti":
			return text(`"first"`, `"second"`), true
		case "acknone":
			return text(), true
		}
		return packet.Payload{}, false
	}
	main.handle = func(event string) (packet.Payload, bool) {
		switch event {
		case "sse-ack":
			return text(`"pong from B"`), true
		case "sse-ack-obj":
			return text(`{"from":"B","n":1.5,"b":{"type":"Buffer","data":[1,2]}}`), true
		case "sse-ack-undef":
			return text(), true
		}
		return packet.Payload{}, false
	}
	for _, v := range rec.Vectors { // handshakes, as B described them
		if a, err := wire.ParseResponse(v.B64); err == nil && v.From == "B-pub" {
			for _, s := range a.Sockets {
				for _, mine := range main.sockets {
					if mine.id == s.ID {
						mine.shake = socketInfo(s).Handshake
					}
				}
			}
		}
	}
	return main, newFakeLocal("/chat", &fakeSocket{id: rec.Sockets["d1"], name: "d1"})
}

type replay struct {
	client     *redis.Client
	responses  *redis.PubSub
	main, chat *fakeLocal
	mark       *fakeLocal // of a namespace that is used to learn that all was heard
	sentinels  int
}

// step says what others than B said in it, and compares.
func (p *replay) step(t *testing.T, rec recording, step recordedStep) {
	t.Helper()
	if strings.HasPrefix(step.Name, "fetch-data-binary") {
		// Before this step b1's data was set.
		p.main.sockets[0].data = `{"who":"b1","n":1,"bin":{"type":"Buffer","data":[1,2]},"d":"2023-11-14T22:13:20.123Z"}`
		defer func() { p.main.sockets[0].data = `{"who":"b1","n":1}` }()
	}
	var want []recordedVector
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
				if err := p.client.Publish(t.Context(), v.Channel, v.B64).Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	p.heard(t)
	// A may have said the very bytes that B did, before or after us, so the order is for other tests.
	answers, wanted := p.answers(t, said), p.recorded(want)
	slices.Sort(answers)
	slices.Sort(wanted)
	if !slices.Equal(answers, wanted) {
		t.Errorf("%s: answered\n%q, want\n%q", step.Name, answers, wanted)
	}
	sameDeliveries(t, step, append(p.main.take(), p.chat.take()...))
}

// heard returns once all broadcasts that were published have been heard. Miniredis does not keep the order between
// patterns and channels, so answers cannot tell.
func (p *replay) heard(t *testing.T) {
	t.Helper()
	msg, err := wire.AppendBroadcast(nil, "foreig", "/mark", text(`"mark"`), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.client.Publish(t.Context(), "socket.io#/mark#", msg).Err(); err != nil {
		t.Fatal(err)
	}
	wait(t, p.mark, 1)
}

// answers reads what was answered, up to the answer to a request made for that; not what others had said.
func (p *replay) answers(t *testing.T, said map[string]int) (answers []string) {
	t.Helper()
	p.sentinels++
	id := fmt.Sprintf("sentinel-%d", p.sentinels)
	q := fmt.Sprintf(`{"requestId":%q,"type":0,"rooms":["nobody is here"]}`, id)
	if err := p.client.Publish(t.Context(), "socket.io-request#/#", q).Err(); err != nil {
		t.Fatal(err)
	}
	for {
		msg, err := p.responses.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch payload := []byte(msg.Payload); {
		case string(wire.ResponseID(payload)) == id:
			return answers
		case said[msg.Payload] > 0:
			said[msg.Payload]--
		default:
			answers = append(answers, msg.Channel+" "+normal(payload))
		}
	}
}

func (p *replay) recorded(want []recordedVector) (answers []string) {
	for _, v := range want {
		// Node answers to a server named undefined when it has no name; we answer where all hear it.
		channel := strings.TrimSuffix(v.Channel, "undefined#")
		answers = append(answers, channel+" "+normal(v.B64))
	}
	return answers
}

// normal is a payload as it is; but the headers of a handshake have no order here.
func normal(payload []byte) string {
	if !bytes.Contains(payload, []byte(`"headers":{`)) {
		return string(payload)
	}
	var v any
	_ = json.Unmarshal(payload, &v)
	sorted, _ := json.Marshal(v)
	return string(sorted)
}

func describe(t *testing.T, g got) string {
	t.Helper()
	if g.gone {
		return g.who + " disconnected"
	}
	var values []any
	if err := json.Unmarshal(g.payload.JSON, &values); err != nil {
		t.Fatalf("%s: %v", g.payload.JSON, err)
	}
	return g.who + " " + print(t, tagged(values, g.payload.Attachments))
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
func sameDeliveries(t *testing.T, step recordedStep, told []got) {
	t.Helper()
	var delivered, expected []string
	for _, g := range told {
		if g.payload.JSON != nil && g.who != "server" || g.gone {
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
