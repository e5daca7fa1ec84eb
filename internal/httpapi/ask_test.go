package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// crowd is a server with sockets s000, s001 and so on in the room "all", of which the even ones
// answer events.
type crowd struct {
	name  string
	count int
}

func (c crowd) Name() string             { return c.name }
func (crowd) HasRoom([]byte) bool        { return true }
func (crowd) Deliver(*cluster.Broadcast) {}
func (crowd) Apply(cluster.Order)        {}
func (c crowd) Answer(q cluster.Question, answer func(cluster.Answer)) {
	switch q.Kind {
	case cluster.AskSockets:
		var a cluster.Answer
		for i := range c.count {
			id := fmt.Sprintf("s%03d", i)
			a.Sockets = append(a.Sockets, cluster.SocketInfo{ID: id, Rooms: []string{id, "all"}, Handshake: []byte(`{"secure":false}`),
				Data: packet.Payload{JSON: []byte(`{"n":1,"b":{"_placeholder":true,"num":0}}`), Attachments: [][]byte{{0}}}})
		}
		answer(a)
	case cluster.AskRooms:
		answer(cluster.Answer{Rooms: []string{"b", "a", "b", "all"}})
	case cluster.AskServers:
		if name, _, _ := q.Event.Event(); name != "silent" {
			answer(cluster.Answer{Payload: packet.Payload{JSON: []byte(`[{"load":0.5},"more"]`)}})
		}
	case cluster.AskClients:
		answer(cluster.Answer{Clients: c.count})
		for range c.count / 2 {
			answer(cluster.Answer{Ack: true, Payload: packet.Payload{JSON: []byte(`[{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2}}}})
		}
	}
}

// crowded is an API beside servers.
func crowded(t *testing.T, servers ...crowd) *fixture {
	t.Helper()
	hub := cluster.NewHub()
	for _, s := range servers {
		if _, err := hub.Open(s); err != nil {
			t.Fatal(err)
		}
	}
	return serve(t, testkit.MiniRedis(t).Addr(), func(c *Config) { c.Cluster = hub })
}

func TestAnswersOfClientsAndServers(t *testing.T) {
	f := crowded(t, crowd{"/", 4}, crowd{"/", 3})
	a := f.post(t, "/v1/emit", `{"event":"ask","timeout":50}`)
	if want := `{"status":200,"responses":[{"$base64":"AQI="},{"$base64":"AQI="},{"$base64":"AQI="}],"asked":7,"missing":4}`; a.Code != 200 || strings.TrimSpace(a.Text) != want {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	a = f.post(t, "/v1/server-event", `{"event":"load","timeout":60000}`)
	if want := `{"status":200,"responses":[{"load":0.5},{"load":0.5}],"asked":2,"missing":0}`; a.Code != 200 || strings.TrimSpace(a.Text) != want {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	a = f.post(t, "/v1/server-event", `{"event":"silent","timeout":50}`)
	if want := `{"status":200,"responses":[],"asked":2,"missing":2}`; a.Code != 200 || strings.TrimSpace(a.Text) != want {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	a = f.post(t, "/v1/emit", `{"event":"ask","timeout":50,"namespace":"/empty"}`)
	if want := `{"status":200,"responses":[],"asked":0,"missing":0}`; a.Code != 200 || strings.TrimSpace(a.Text) != want {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	a = f.post(t, "/v1/batch", `{"op":"emit","event":"a"}`+"\n"+`{"op":"server-event","event":"load","timeout":60000}`+"\n"+`{"op":"emit"}`+"\n"+`{"op":"emit","event":"a"}`)
	lines := strings.Split(a.Text, "\n")
	if len(lines) != 5 || lines[0] != `{"status":202}` || !strings.Contains(lines[1], `"asked":2`) || !strings.Contains(lines[2], "missing-member") || lines[3] != `{"status":202}` {
		t.Errorf("%d %s", a.Code, a.Text)
	}
}

// TestPages reads sockets and rooms piece by piece.
func TestPages(t *testing.T) {
	f := crowded(t, crowd{"/", 250}, crowd{"/", 250}) // they describe the same sockets
	get := func(path string) string {
		a := f.do(t, http.MethodGet, path, "", nil)
		if a.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, a.Code, a.Text)
		}
		return a.Text
	}
	first := get("/v1/sockets?limit=2")
	if want := `{"sockets":[{"id":"s000","rooms":["s000","all"],"handshake":{"secure":false},"data":{"b":{"$base64":"AA=="},"n":1}},{"id":"s001",`; !strings.HasPrefix(first, want) || !strings.Contains(first, `"next":"s001","missing":0`) {
		t.Error(first)
	}
	seen, next := 0, ""
	for {
		text := get("/v1/sockets?namespace=/&room=all&limit=60&after=" + next)
		seen += strings.Count(text, `"id":`)
		_, rest, more := strings.Cut(text, `"next":"`)
		if !more {
			break
		}
		next, _, _ = strings.Cut(rest, `"`)
	}
	if seen != 250 {
		t.Errorf("%d sockets", seen)
	}
	if text := get("/v1/rooms?limit=2"); !strings.HasPrefix(text, `{"rooms":["a","all"],"next":"all"`) {
		t.Error(text)
	}
	if text := get("/v1/rooms?limit=2&after=all"); strings.TrimSpace(text) != `{"rooms":["b"],"missing":0}` {
		t.Error(text)
	}
	if text := get("/v1/servers"); !strings.Contains(text, `"servers":[{"id":"1"},{"id":"2"}]`) {
		t.Error(text)
	}
	for path, kind := range map[string]string{
		"/v1/sockets?rom=a": "unknown-member", "/v1/sockets?limit=0": "bad-value", "/v1/sockets?limit=1001": "bad-value", "/v1/sockets?limit=2x": "bad-value",
		"/v1/rooms?namespace=chat": "bad-value", "/v1/rooms?limit=1&limit=2": "bad-value", "/v1/rooms?after=" + strings.Repeat("x", 9000): "too-large",
	} {
		if a := f.do(t, http.MethodGet, path, "", nil); a.kind() != kind {
			t.Errorf("%.40s: %d %s", path, a.Code, a.Text)
		}
	}
	if a := f.do(t, http.MethodGet, "/v1/sockets", "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+jobsKey) }); a.kind() != "forbidden" {
		t.Errorf("%d %s", a.Code, a.Text)
	}
}

// TestNamespacesAreBounded: of too many, the one that was asked longest ago is closed.
func TestNamespacesAreBounded(t *testing.T) {
	a := &asker{cluster: cluster.NewHub()}
	busy, err := a.acquire("/busy")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxOpenNamespaces {
		o, err := a.acquire(fmt.Sprintf("/%d", i))
		if err != nil {
			t.Fatal(err)
		}
		a.release(o)
	}
	if len(a.open) != maxOpenNamespaces || a.open["/busy"] != busy || a.open["/0"] != nil {
		t.Errorf("%d namespaces are open", len(a.open))
	}
}
