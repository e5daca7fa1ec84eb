//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
)

// TestEveryClient: what one client says reaches those on every worker of every host, and only those
// it is meant for.
func TestEveryClient(t *testing.T) {
	_, hosts := pair(t)
	node := harness.StartNode(t)
	everyone := onEveryWorker(t, node, hosts[:])
	if len(everyone) != 4 {
		t.Fatalf("clients on %d workers", len(everyone))
	}
	first := everyone[0]

	node.Must("ask", args{"name": first, "event": "say", "args": []any{args{"msg": "to all"}}}, nil)
	for _, c := range everyone {
		expectSaid(t, node, c, "to all")
	}
	for _, c := range everyone[1:3] {
		node.Must("ask", args{"name": c, "event": "join", "args": []any{"some"}}, nil)
	}
	node.Must("ask", args{"name": first, "event": "say", "args": []any{args{"room": "some", "msg": "to some"}}}, nil)
	node.Must("ask", args{"name": first, "event": "say", "args": []any{args{"msg": "the end"}}}, nil)
	for i, c := range everyone {
		if i == 1 || i == 2 {
			expectSaid(t, node, c, "to some")
		}
		expectSaid(t, node, c, "the end") // for the others the very next thing they hear
	}

	var count int
	node.Must("ask", args{"name": first, "event": "count", "args": []any{"some"}}, &count)
	if count != 2 {
		t.Errorf("count in the room: %d", count)
	}
	node.Must("ask", args{"name": first, "event": "count"}, &count)
	if count != 4 {
		t.Errorf("count of all: %d", count)
	}
	var workers []struct {
		Worker, Host string
		PID, Clients int
	}
	node.Must("ask", args{"name": first, "event": "workers"}, &workers)
	seen := map[string]int{}
	for _, w := range workers {
		seen[w.Host]++
		if w.PID == 0 || w.Clients != 1 {
			t.Errorf("worker %+v", w)
		}
	}
	if len(workers) != 4 || seen["host-a"] != 2 || seen["host-b"] != 2 {
		t.Errorf("workers %+v", workers)
	}
}

// onEveryWorker connects clients until each worker has one, keeps one for each and closes the rest.
func onEveryWorker(t *testing.T, node *harness.Node, hosts []*harness.Host) (names []string) {
	t.Helper()
	taken := map[string]bool{}
	for i := 0; len(taken) < 2*len(hosts) && i < 200; i++ {
		name := fmt.Sprintf("client-%d", i)
		node.Must("connect", args{"name": name, "url": hosts[i%len(hosts)].URL, "options": args{"transports": []string{"websocket"}}}, nil)
		var me whoami
		node.Must("ask", args{"name": name, "event": "whoami"}, &me)
		if taken[me.Worker] {
			node.Must("close", args{"name": name}, nil)
			continue
		}
		taken[me.Worker] = true
		names = append(names, name)
	}
	harness.AwaitSessions(t, len(names), hosts...)
	return names
}

func expectSaid(t *testing.T, node *harness.Node, client, msg string) {
	t.Helper()
	var said struct{ Msg string }
	if err := json.Unmarshal(node.NextMessage(client, "said").Args[0], &said); err != nil {
		t.Fatal(err)
	}
	if said.Msg != msg {
		t.Errorf("%s heard %q, want %q", client, said.Msg, msg)
	}
}

// TestNodeHearsAndIsHeard: a Node server with @socket.io/redis-adapter on the same Redis is one
// more server of the cluster.
func TestNodeHearsAndIsHeard(t *testing.T) {
	redis, hosts := pair(t)
	node := harness.StartNode(t)
	var node1 struct{ URL string }
	node.Must("serve", args{"name": "node-server", "redis": redis.URL()}, &node1)
	var there, here struct{ Socket string }
	node.Must("connect", args{"name": "there", "url": node1.URL}, &there)
	node.Must("connect", args{"name": "here", "url": hosts[0].URL}, &here)

	ask := func(op string, more args) (got json.RawMessage) {
		t.Helper()
		call := args{"name": "node-server", "do": op}
		maps.Copy(call, more)
		node.Must("server", call, &got)
		return got
	}

	node.Must("ask", args{"name": "here", "event": "say", "args": []any{args{"msg": "from go"}}}, nil)
	expectSaid(t, node, "there", "from go")
	ask("emit", args{"args": []any{"greeting", "from node", args{"$bin": "AQI="}}})
	for _, c := range []string{"here", "there"} {
		if e := node.NextMessage(c, "greeting"); string(e.Args[0]) != `"from node"` || string(e.Args[1]) != `{"$bin":"AQI="}` {
			t.Errorf("%s got %s", c, e.Args)
		}
	}

	var sockets []struct {
		ID    string
		Rooms []string
	}
	ask("join", args{"rooms": []string{here.Socket}, "args": []string{"mixed"}})
	node.Must("ask", args{"name": "there", "event": "join", "args": []any{"mixed"}}, nil)
	decode(t, ask("fetch", args{"rooms": []string{"mixed"}}), &sockets)
	ids := []string{}
	for _, s := range sockets {
		ids = append(ids, s.ID)
	}
	slices.Sort(ids)
	want := []string{here.Socket, there.Socket}
	slices.Sort(want)
	if !slices.Equal(ids, want) {
		t.Errorf("node fetched %v, want %v", ids, want)
	}
	var count int
	node.Must("ask", args{"name": "here", "event": "count", "args": []any{"mixed"}}, &count)
	if count != 2 {
		t.Errorf("go counts %d", count)
	}

	node.Must("answer", args{"name": "here", "event": "question", "args": []any{"go client"}}, nil)
	node.Must("answer", args{"name": "there", "event": "question", "args": []any{"node client"}}, nil)
	var answers []string
	decode(t, ask("ask", args{"args": []any{"question"}}), &answers)
	slices.Sort(answers)
	if !slices.Equal(answers, []string{"go client", "node client"}) {
		t.Errorf("answers %v", answers)
	}
	var servers []struct{ Host string }
	decode(t, ask("serverSideAsk", args{"args": []any{"workers"}}), &servers)
	if len(servers) != 4 {
		t.Errorf("node asked %d go servers: %v", len(servers), servers)
	}

	ask("leave", args{"rooms": []string{here.Socket}, "args": []string{"mixed"}})
	ask("disconnect", args{"rooms": []string{here.Socket}, "args": []any{true}})
	if e := node.Next("here", "disconnect"); e.Reason != "io server disconnect" {
		t.Errorf("disconnected by node: %q", e.Reason)
	}
}

func decode(t *testing.T, text json.RawMessage, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
