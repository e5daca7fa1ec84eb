//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// buildChat compiles examples/chat.
func buildChat(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "chat")
	build := exec.Command("go", "build", "-o", binary, "./examples/chat")
	build.Dir = harness.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// TestChatAlone: the example by itself needs neither a router nor Redis.
func TestChatAlone(t *testing.T) {
	addr := harness.Loopback(t)
	p := harness.Start(t, "chat", "", []string{"SIDEREAL_ADDR=" + addr, "SIDEREAL_LOG_FORMAT=json"}, buildChat(t))
	p.Output.Wait(t, 0, "readiness", harness.Contains(addr))
	node := harness.StartNode(t)
	chat(t, node, "http://"+addr, "http://"+addr)
	if code := p.Stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestChatAsWorkers: the same binary as the workers of two hosts.
func TestChatAsWorkers(t *testing.T) {
	redis, binary := testkit.StartRedis(t), buildChat(t)
	var urls []string
	var hosts []*harness.Host
	for _, name := range []string{"host-a", "host-b"} {
		h := harness.StartHost(t, harness.HostConfig{Name: name, RedisURL: redis.URL(), Workers: 1, App: []string{binary}})
		hosts, urls = append(hosts, h), append(urls, h.URL)
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 2)
	}
	chat(t, harness.StartNode(t), urls[0], urls[1])
	// The app brings no client of its own.
	if status, client := harness.Get(t.Context(), t, urls[0]+"/socket.io/socket.io.js"); status != http.StatusOK || !strings.Contains(client, "Socket.IO v4.") {
		t.Errorf("status %d, %d bytes of the client", status, len(client))
	}
}

// chat lets two people talk who entered at two places.
func chat(t *testing.T, node *harness.Node, here, there string) {
	t.Helper()
	var refused struct{ Refused string }
	node.Must("connect", args{"name": "nobody", "url": here, "options": args{"transports": []string{"websocket"}}}, &refused)
	if refused.Refused != "say who you are" {
		t.Errorf("a client without a name was told %q", refused.Refused)
	}
	for name, url := range map[string]string{"Ada": here, "Grace": there} {
		node.Must("connect", args{"name": name, "url": url, "options": args{"auth": args{"name": name}}}, nil)
	}
	var present []string
	node.Must("ask", args{"name": "Ada", "event": "join", "args": []any{"lobby"}}, &present)
	node.Must("ask", args{"name": "Grace", "event": "join", "args": []any{"lobby"}}, &present)
	if !slices.Equal(present, []string{"Ada", "Grace"}) {
		t.Errorf("in the lobby: %v", present)
	}
	if e := node.NextMessage("Ada", "joined"); string(e.Args[1]) != `"Grace"` {
		t.Errorf("joined: %s", e.Args)
	}
	node.Must("emit", args{"name": "Grace", "event": "say", "args": []any{"lobby", "hello"}}, nil)
	var said struct{ From, Text string }
	if err := json.Unmarshal(node.NextMessage("Ada", "said").Args[0], &said); err != nil {
		t.Fatal(err)
	}
	if said.From != "Grace" || said.Text != "hello" {
		t.Errorf("said: %+v", said)
	}
	node.Must("close", args{"name": "Grace"}, nil)
	if e := node.NextMessage("Ada", "left"); string(e.Args[1]) != `"Grace"` {
		t.Errorf("left: %s", e.Args)
	}
}
