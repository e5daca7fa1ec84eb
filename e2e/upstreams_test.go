//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// upstreams are official servers on ports, each a process that knows nothing of routers.
type upstreams struct {
	nodes []*harness.Node
	urls  []string
}

func startUpstreams(t *testing.T, n int) (b upstreams) {
	t.Helper()
	for i := range n {
		b.nodes, b.urls = append(b.nodes, nil), append(b.urls, "")
		b.start(t, i, 0)
	}
	return b
}

// start runs upstream i at a port, 0 for any.
func (b *upstreams) start(t *testing.T, i, port int) {
	t.Helper()
	b.nodes[i] = harness.StartNode(t)
	var at struct{ URL string }
	b.nodes[i].Must("serve", args{"name": strconv.Itoa(i), "port": port}, &at)
	b.urls[i] = at.URL
}

func (b *upstreams) env() []string {
	return []string{"SIDEREAL_UPSTREAMS=" + strings.Join(b.urls, ",")}
}

// sessions opens polling sessions until each upstream has one.
func (b *upstreams) sessions(ctx context.Context, t *testing.T, entries ...string) map[string]*harness.Poller {
	t.Helper()
	found := map[string]*harness.Poller{}
	for range 200 {
		p := &harness.Poller{HTTP: http.DefaultClient, Entries: entries}
		if err := p.Open(ctx); err != nil {
			t.Fatal(err)
		}
		name, err := p.Ask(ctx, 1, "name")
		if err != nil {
			t.Fatal(err)
		}
		if found[name] = p; len(found) == len(b.urls) {
			return found
		}
	}
	t.Fatalf("sessions at %d of %d upstreams only", len(found), len(b.urls))
	return nil
}

// TestUpstreams: servers that know nothing of us, behind a router that has nothing but their
// addresses.
func TestUpstreams(t *testing.T) {
	b := startUpstreams(t, 3)
	router := harness.StartRouter(t, harness.HostConfig{Name: "host-a", Env: b.env()})
	router.AwaitWorkers(t, 3)
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	node := harness.StartNode(t)
	for name, transports := range map[string][]string{
		"polling": {"polling"}, "websocket": {"websocket"}, "upgrade": {"polling", "websocket"},
	} {
		node.Must("connect", args{"name": name, "url": router.URL, "options": args{"transports": transports}}, nil)
		if len(transports) > 1 {
			if e := node.Next(name, "upgrade"); e.Transport != "websocket" {
				t.Errorf("upgraded to %q", e.Transport)
			}
		}
		var got string
		if node.Must("ask", args{"name": name, "event": "echo", "args": []any{"x"}}, &got); got != "x" {
			t.Errorf("%s: echo %q", name, got)
		}
	}

	sessions := b.sessions(ctx, t, router.URL)
	for name, p := range sessions {
		var trace struct {
			Decision string
			Worker   struct{ ID string }
		}
		i, _ := strconv.Atoi(strings.Trim(name, `["]`))
		if router.Ask(t, "/trace?sid="+p.SID, &trace); trace.Worker.ID != b.urls[i] || trace.Decision != "cache" {
			t.Errorf("the session of %s is traced to %+v", b.urls[i], trace)
		}
	}
	b.nodes[0].Kill()
	dead := sessions[`["0"]`]
	for range 3 {
		status, body := harness.Get(ctx, t, router.URL+"/socket.io/?EIO=4&transport=polling&sid="+dead.SID)
		if status != 400 || body != `{"code":1,"message":"Session ID unknown"}` {
			t.Errorf("a dead upstream's sid gets %d %s", status, body)
		}
	}
	for _, name := range []string{`["1"]`, `["2"]`} {
		if got, err := sessions[name].Ask(ctx, 2, "name"); err != nil || got != name {
			t.Errorf("session of %s: %s, %v", name, got, err)
		}
	}
	for range 10 {
		p := &harness.Poller{HTTP: http.DefaultClient, Entries: []string{router.URL}}
		if err := p.Open(ctx); err != nil {
			t.Errorf("a new client while one is dead: %v", err)
		}
	}

	at, err := url.Parse(b.urls[0])
	if err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(at.Port())
	b.start(t, 0, port)
	router.AwaitWorkers(t, 3)
	b.sessions(ctx, t, router.URL)
	if status, _ := harness.Get(ctx, t, router.URL+"/socket.io/?EIO=4&transport=polling&sid="+dead.SID); status != 400 {
		t.Errorf("its predecessor's sid gets %d", status)
	}
}

// TestUpstreamsBesideWorkers: a host shows, and uses, what is listed like workers of its own.
func TestUpstreamsBesideWorkers(t *testing.T) {
	b := startUpstreams(t, 1)
	host := harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 1, Env: b.env()})
	var status struct {
		Workers []struct{ ID, State string }
	}
	var cluster struct{ Workers, Routers []struct{ ID string } }
	testkit.Until(t, "two ready workers behind a router", func() bool {
		host.Ask(t, "/status", &status)
		host.Ask(t, "/cluster", &cluster)
		shown := 0
		for _, w := range status.Workers {
			if w.State == "ready" {
				shown++
			}
		}
		return shown == 2 && len(cluster.Workers) == 2 && len(cluster.Routers) == 1
	})
	if ids := []string{status.Workers[0].ID, status.Workers[1].ID}; !slices.Contains(ids, b.urls[0]) {
		t.Errorf("%s is not among %q", b.urls[0], ids)
	}
}

// TestUpstreamsOfTwoRouters: what one router learned, the other knows through Redis.
func TestUpstreamsOfTwoRouters(t *testing.T) {
	b := startUpstreams(t, 2)
	redis := testkit.StartRedis(t)
	var entries []string
	for _, name := range []string{"host-a", "host-b"} {
		router := harness.StartRouter(t, harness.HostConfig{Name: name, RedisURL: redis.URL(), Env: b.env()})
		router.AwaitWorkers(t, 2)
		entries = append(entries, router.URL)
	}
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	for name, p := range b.sessions(ctx, t, entries...) {
		for i := range 10 { // each request at another entry
			if got, err := p.Ask(ctx, i+2, "name"); err != nil || got != name {
				t.Errorf("session of %s: %s, %v", name, got, err)
			}
		}
	}
	// A session begins here and goes on there: the upgrade's sid is known at once.
	node := harness.StartNode(t)
	balancer := harness.StartBalancer(t, strings.TrimPrefix(entries[0], "http://"), strings.TrimPrefix(entries[1], "http://"))
	node.Must("connect", args{"name": "upgrade", "url": balancer.URL}, nil)
	if e := node.Next("upgrade", "upgrade"); e.Transport != "websocket" {
		t.Errorf("upgraded to %q", e.Transport)
	}
	// One that ends is gone at both, without a word between them.
	b.nodes[1].Kill()
	for _, entry := range entries {
		for range 5 {
			p := &harness.Poller{HTTP: http.DefaultClient, Entries: []string{entry}}
			if err := p.Open(ctx); err != nil {
				t.Errorf("a new client: %v", err)
			}
		}
	}
}
