//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// TestOfficialClient: the client from npm, unchanged, over each way to connect.
func TestOfficialClient(t *testing.T) {
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 2}) // with the embedded Redis
	node := harness.StartNode(t)
	for _, c := range []struct {
		name       string
		transports []string
		ends       string
	}{
		{"polling", []string{"polling"}, "polling"},
		{"websocket", []string{"websocket"}, "websocket"},
		{"upgrade", []string{"polling", "websocket"}, "websocket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			node.Must("connect", args{"name": c.name, "url": host.URL, "options": args{"transports": c.transports}}, nil)
			if len(c.transports) > 1 {
				if e := node.Next(c.name, "upgrade"); e.Transport != "websocket" {
					t.Errorf("upgraded to %q", e.Transport)
				}
			}
			var me whoami
			node.Must("ask", args{"name": c.name, "event": "whoami"}, &me)
			if me.Host != "host-a" || me.Transport != c.ends || len(me.SID) != 20 || !strings.HasPrefix(me.SID, me.Worker) {
				t.Errorf("whoami says %+v", me)
			}
			talk(t, node, c.name, me)
		})
	}
}

// talk goes through what a client does: acks both ways, text, JSON, binary, rooms.
func talk(t *testing.T, node *harness.Node, name string, me whoami) {
	t.Helper()
	for _, sent := range []string{
		`"text"`, `"テスト <&> \u2028"`, `42`, `1.5`, `null`, `true`, `{"z":1,"a":{"list":[1,"two",null]}}`,
		`{"$bin":"AQID"}`, `{"deep":[{"b":{"$bin":"/wA="}},"x"]}`,
	} {
		var got json.RawMessage
		node.Must("ask", args{"name": name, "event": "echo", "args": []json.RawMessage{json.RawMessage(sent)}}, &got)
		if canonical(t, got) != canonical(t, json.RawMessage(sent)) {
			t.Errorf("echo of %s came back as %s", sent, got)
		}
	}
	node.Must("emit", args{"name": name, "event": "echo", "args": []any{"no ack", args{"$bin": "AAE="}}}, nil)
	if e := node.NextMessage(name, "echo"); len(e.Args) != 2 || string(e.Args[0]) != `"no ack"` || string(e.Args[1]) != `{"$bin":"AAE="}` {
		t.Errorf("echo without an ack: %s", e.Args)
	}

	var ok string
	room := "room of " + name
	node.Must("ask", args{"name": name, "event": "join", "args": []any{room}}, &ok)
	var count int
	node.Must("ask", args{"name": name, "event": "count", "args": []any{room}}, &count)
	if ok != "ok" || count != 1 {
		t.Errorf("join said %q, count %d", ok, count)
	}
	node.Must("ask", args{"name": name, "event": "say", "args": []any{args{"room": room, "msg": args{"$bin": "c2F5"}}}}, &ok)
	var said struct {
		Room, From, Worker string
		Msg                struct {
			Bin string `json:"$bin"`
		}
	}
	if err := json.Unmarshal(node.NextMessage(name, "said").Args[0], &said); err != nil {
		t.Fatal(err)
	}
	if said.Room != room || said.From != me.ID || said.Worker != me.Worker || said.Msg.Bin != "c2F5" {
		t.Errorf("said %+v", said)
	}
	node.Must("ask", args{"name": name, "event": "leave", "args": []any{room}}, &ok)
	node.Must("ask", args{"name": name, "event": "count", "args": []any{room}}, &count)
	if count != 0 {
		t.Errorf("%d in the room after leaving", count)
	}
}

// canonical is a JSON text with one space convention.
func canonical(t *testing.T, text json.RawMessage) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
