//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestDeskSurvivesAWorker runs the app of docs/app.md on two hosts, and kills the workers that have
// a customer and an agent. Both are recovered with their user, rooms and missed messages; nobody is
// told that the agent left; and questions get answers again.
func TestDeskSurvivesAWorker(t *testing.T) {
	redis, dir := testkit.StartRedis(t), t.TempDir()
	buildDesk(t, dir)
	hosts := map[string]*harness.Host{}
	for _, name := range []string{"host-a", "host-b"} {
		hosts[name] = harness.StartHost(t, harness.HostConfig{Name: name, RedisURL: redis.URL(), Workers: 2,
			App: []string{filepath.Join(dir, "bin", "desk")},
			Env: []string{"SIDEREAL_ADAPTER=redis-streams", "SIDEREAL_RECOVERY=10s", "DESK_FILES=" + filepath.Join(dir, "files")}})
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 4)
	}
	a, b := hosts["host-a"], hosts["host-b"]
	node := harness.StartNode(t)
	alan, spared := observer(t, b.URL, login(t, a.URL, "alan", "staff"))
	ada := connectDesk(t, node, "ada", a.URL, login(t, a.URL, "ada", ""), spared, func() {})
	node.Must("answer", args{"name": "ada", "event": "solved?", "args": []any{true}}, nil)
	grace := connectDesk(t, node, "grace", b.URL+"/agents", login(t, b.URL, "grace", "staff"), spared, func() {
		alan.hears(t, "online grace")
		alan.hears(t, "offline grace")
	})
	alan.hears(t, "online grace")
	if who, err := client.Call[[]string](t.Context(), alan.Socket, "who"); err != nil || !slices.Equal(who, []string{"alan", "grace"}) {
		t.Errorf("who: %v, %v", who, err)
	}
	node.Must("ask", args{"name": "grace", "event": "take", "args": []any{"ada"}}, nil)
	expectEvent(t, node, "ada", "taken", `"grace"`)
	testkit.Until(t, "both sessions in Redis", func() bool { return stored(t, redis, "customer:ada") == 2 })

	if _, err := alan.EmitWithAck(t.Context(), "take", "ada"); err != nil {
		t.Fatal(err)
	}
	killDeskWorker(t, workerOf(ada.SID), a, b)
	if w := workerOf(grace.SID); w != workerOf(ada.SID) {
		killDeskWorker(t, w, a, b)
	}
	const missed = 5
	for i := range missed {
		if _, err := alan.EmitWithAck(t.Context(), "say", "ada", fmt.Sprint("news ", i)); err != nil {
			t.Fatal(err)
		}
	}
	for name, was := range map[string]seat{"ada": ada, "grace": grace} {
		if e := node.Next(name, "connect"); !e.Recovered || e.Socket != was.Socket {
			t.Errorf("%s came back as %+v, was %s", name, e, was.Socket)
		}
		for i := range missed {
			var m struct{ From, Text string }
			if err := json.Unmarshal(node.NextMessage(name, "said").Args[0], &m); err != nil || m.From != "alan" || m.Text != fmt.Sprint("news ", i) {
				t.Errorf("%s heard %+v, %v", name, m, err)
			}
		}
	}
	// The user is still known, and so are the rooms.
	var said struct{ From string }
	node.Must("ask", args{"name": "ada", "event": "say", "args": []any{"I'm back."}}, &said)
	if said.From != "ada" {
		t.Errorf("after the recovery ada is %q", said.From)
	}
	var solved bool
	node.Must("ask", args{"name": "grace", "event": "finish", "args": []any{"ada"}, "timeout": 20000}, &solved)
	if !solved {
		t.Error("ada's answer didn't arrive")
	}
	if who, err := client.Call[[]string](t.Context(), alan.Socket, "who"); err != nil || !slices.Equal(who, []string{"alan", "grace"}) {
		t.Errorf("who: %v, %v", who, err)
	}
	node.Must("close", args{"name": "grace"}, nil)
	alan.hears(t, "offline grace") // and nothing before
}

// seat is where a client of the official library is connected.
type seat struct{ Socket, SID string }

// connectDesk connects a client to any worker but one; closed is called for each client on that
// one.
func connectDesk(t *testing.T, node *harness.Node, name, url, token, except string, closed func()) seat {
	t.Helper()
	for {
		var s seat
		node.Must("connect", args{"name": name, "url": url, "options": args{
			"transports": []string{"websocket"}, "auth": args{"token": token}, "reconnectionDelay": 500,
		}}, &s)
		if s.Socket == "" {
			t.Fatalf("%s was refused", name)
		}
		node.Next(name, "connect")
		if workerOf(s.SID) != except {
			return s
		}
		node.Must("close", args{"name": name}, nil)
		closed()
	}
}

// watcher is an agent who notes which agents come and go.
type watcher struct {
	*client.Socket
	news chan string
}

// observer connects an agent, and returns the worker as well.
func observer(t *testing.T, url, token string) (w watcher, worker string) {
	t.Helper()
	c, err := client.New(client.Config{URL: url, Auth: map[string]string{"token": token}, Transports: []string{client.WebSocket}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	w = watcher{c.Of("/agents"), make(chan string, 16)}
	for _, event := range []string{"online", "offline"} {
		w.On(event, func(name string) {
			w.news <- event + " " + name
		})
	}
	if err := w.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, workerOf(c.SID())
}

func (w watcher) hears(t *testing.T, want string) {
	t.Helper()
	if news := testkit.Receive(t, "news of an agent", w.news); news != want {
		t.Fatalf("alan heard %q, want %q", news, want)
	}
}

// workerOf is the worker that a sid of Sidereal begins with.
func workerOf(sid string) string { return sid[:4] }

func killDeskWorker(t *testing.T, id string, hosts ...*harness.Host) {
	t.Helper()
	for _, h := range hosts {
		for _, c := range h.Children(t) {
			if c.Worker == id {
				harness.KillPID(t, c.PID)
				return
			}
		}
	}
	t.Fatalf("no host has the worker %s", id)
}

func expectEvent(t *testing.T, node *harness.Node, name, event, first string) {
	t.Helper()
	if e := node.NextMessage(name, event); string(e.Args[0]) != first {
		t.Errorf("%s heard %s%s, want %s", name, event, e.Args, first)
	}
}

func login(t *testing.T, at, name, password string) string {
	t.Helper()
	answer, err := http.PostForm(at+"/login", url.Values{"name": {name}, "password": {password}})
	return text(t, answer, err)
}

func text(t *testing.T, answer *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s, %v", answer.Request.Method, answer.Request.URL, answer.Status, body, err)
	}
	return strings.TrimSpace(string(body))
}
