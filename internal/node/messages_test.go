package node

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"testing"

	"github.com/sidereal-io/sidereal/internal/node/ipc"
)

// names are those that Node's adapter gives the types of its messages.
var names = map[string]kind{
	"INITIAL_HEARTBEAT": kindHello, "HEARTBEAT": kindBeat, "ADAPTER_CLOSE": kindGone, "BROADCAST": kindBroadcast,
	"SOCKETS_JOIN": kindJoin, "SOCKETS_LEAVE": kindLeave, "DISCONNECT_SOCKETS": kindDisconnect,
	"FETCH_SOCKETS": kindFetch, "FETCH_SOCKETS_RESPONSE": kindFetched,
	"SERVER_SIDE_EMIT": kindEvent, "SERVER_SIDE_EMIT_RESPONSE": kindEventAnswer,
	"BROADCAST_CLIENT_COUNT": kindCount, "BROADCAST_ACK": kindAck,
}

// reading is a bridge that only reads.
func reading() *bridge {
	cfg, _ := Config{RuntimeDir: "none", Report: func(string, any) error { return nil }}.withDefaults()
	return &bridge{c: &child{h: &Host{cfg: cfg}}, gen: third}
}

func textOf(t *testing.T, v ipc.Value) string {
	t.Helper()
	b, err := ipc.AppendText(nil, v, 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func anyOf(t *testing.T, v ipc.Value) (a any) {
	t.Helper()
	if err := json.Unmarshal([]byte(textOf(t, v)), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestRecordedMessages reads what real workers said to each other, and says the same again.
func TestRecordedMessages(t *testing.T) {
	raw, err := os.ReadFile("testdata/node-cluster.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Vectors []struct{ Name, B64, TypeName string }
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	b := reading()
	seen := map[kind]int{}
	for _, v := range golden.Vectors {
		text, err := base64.StdEncoding.DecodeString(v.B64)
		if err != nil {
			t.Fatal(err)
		}
		value, err := ipc.FromText(text, nil)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		o := value.(*ipc.Object)
		k := third.kindOf(o)
		seen[k]++
		if k != names[v.TypeName] {
			t.Errorf("%s: kind %d of %s", v.Name, k, v.TypeName)
		}
		m, err := b.read(k, o)
		if err != nil || m.opaque != nil {
			t.Errorf("%s: %v, %v", v.Name, err, m.opaque)
		}
		switch data := o.Object("data"); k {
		case kindBroadcast, kindJoin, kindLeave, kindDisconnect, kindFetch:
			if got, want := textOf(t, options(m.target, m.flags)), textOf(t, data.Get("opts")); got != want {
				t.Errorf("%s: options %s, want %s", v.Name, got, want)
			}
		case kindEvent:
			again, err := valueOf(m.payload)
			if got, want := textOf(t, again), textOf(t, data.Get("packet")); err != nil || got != want {
				t.Errorf("%s: %s, %v; want %s", v.Name, got, err, want)
			}
		case kindFetched:
			s := &namespace{b: b}
			got, want := anyOf(t, sockets(s.socketsOf(data.Get("sockets")))), anyOf(t, data.Get("sockets"))
			if !reflect.DeepEqual(got, want) { // headers have no order
				t.Errorf("%s: sockets\n%v, want\n%v", v.Name, got, want)
			}
		}
	}
	for name, k := range names {
		if seen[k] == 0 {
			t.Errorf("no %s was recorded", name)
		}
	}
}

// TestWhatNoAdapterSends is refused before anybody who trusts it gets it.
func TestWhatNoAdapterSends(t *testing.T) {
	opts := `"opts":{"rooms":[],"except":[],"flags":{}}`
	for _, text := range []string{
		`{"type":3}`,
		`{"type":3,"data":{"packet":{"data":["x"]}}}`,
		`{"type":3,"data":{"packet":{"data":{}},` + opts + `}}`,
		`{"type":3,"data":{"packet":{"data":["x"]},"opts":{"rooms":"all","except":[]}}}`,
		`{"type":3,"data":{"packet":{"data":["x"]},"requestId":7,` + opts + `}}`,
		`{"type":4,"data":{` + opts + `}}`,
		`{"type":7,"data":{` + opts + `}}`,
		`{"type":8,"data":{"requestId":"a","sockets":{}}}`,
		`{"type":8,"data":{"requestId":"a","sockets":[{"id":"x"}]}}`,
		`{"type":8,"data":{"sockets":[]}}`,
		`{"type":9,"data":{"packet":{"length":3}}}`,
		`{"type":10,"data":{"packet":1}}`,
		`{"type":11,"data":{"requestId":"a","clientCount":-1}}`,
		`{"type":12,"data":{}}`,
	} {
		v, err := ipc.FromText([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		o := v.(*ipc.Object)
		if m, err := reading().read(third.kindOf(o), o); err == nil {
			t.Errorf("%s is read as %+v", text, m)
		}
	}
	loop := &ipc.Array{}
	loop.Items = []ipc.Value{"event", loop}
	for name, data := range map[string]*ipc.Array{"a cycle": loop, "a BigInt": {Items: []ipc.Value{"event", ipc.BigInt}}} {
		o := reading().message("/", "uid", kindBroadcast).Set("data", (&ipc.Object{}).Set("packet", (&ipc.Object{}).Set("type", 2.0).Set("data", data)).Set("opts", options(message{}.target, message{}.flags)))
		if _, err := reading().read(kindBroadcast, o); !errors.Is(err, ipc.ErrUnencodable) {
			t.Errorf("%s in a broadcast: %v", name, err)
		}
		o = reading().message("/", "uid", kindEvent).Set("data", (&ipc.Object{}).Set("packet", data))
		if m, err := reading().read(kindEvent, o); err != nil || m.opaque == nil {
			t.Errorf("%s in an event of servers: %v, %v; want it for this host", name, err, m.opaque)
		}
	}
}

// TestRoomsThatOnlyAHostKnows never become everybody.
func TestRoomsThatOnlyAHostKnows(t *testing.T) {
	odd := (&ipc.Object{}).Set("rooms", &ipc.Array{Items: []ipc.Value{ipc.Undefined{}}}).Set("except", &ipc.Array{Items: []ipc.Value{true, "x", 7.0}})
	target, _, err := targetOf(odd)
	if !errors.Is(err, errRooms) || len(target.Except) != 2 {
		t.Errorf("%q, %v", target, err)
	}
}
