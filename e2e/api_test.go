//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

const apiKey = "shop-0123456789abcdef"

// api is the HTTP API of a host.
type api struct{ url string }

// withAPI is the environment of a host with an API.
func withAPI(t *testing.T) (api, []string) {
	addr := harness.Loopback(t)
	return api{"http://" + addr}, []string{"SIDEREAL_API_ADDR=" + addr, "SIDEREAL_API_KEYS=shop=" + apiKey}
}

// post sends a body and returns the answer's status and text.
func (a api) post(t *testing.T, path, body string) (int, string) {
	t.Helper()
	return a.send(t, http.MethodPost, path, body)
}

func (a api) send(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// get reads a page.
func (a api) get(t *testing.T, path string) string {
	t.Helper()
	code, text := a.send(t, http.MethodGet, path, "")
	if code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, code, text)
	}
	return text
}

// runIn runs a command of sidereal in an environment.
func runIn(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Binary(), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// accepted sends a body that must be accepted.
func (a api) accepted(t *testing.T, path, body string) {
	t.Helper()
	if code, text := a.post(t, path, body); code != http.StatusAccepted {
		t.Fatalf("%s %s: %d %s", path, body, code, text)
	}
}

// guest is a client that hears the API.
type guest struct {
	*client.Socket
	heard chan string
	gone  chan string
}

func newGuest(t *testing.T, url, transport string) *guest {
	t.Helper()
	c, err := client.New(client.Config{URL: url, Transports: []string{transport}, NoReconnection: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	g := &guest{c.Of("/"), make(chan string, 100), make(chan string, 1)}
	g.On("news", func(text string, data []byte) { g.heard <- text + string(data) })
	g.On("ask", func(context.Context, client.Args) (string, error) { return "yes", nil })
	g.OnDisconnect(func(reason string, _ error) { g.gone <- reason })
	if err := g.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestAPIReachesClients: the API of one host speaks to clients of both, with each adapter and
// without a Redis.
func TestAPIReachesClients(t *testing.T) {
	for _, adapter := range []string{"redis", "redis-sharded", "redis-streams", "embedded"} {
		t.Run(adapter, func(t *testing.T) {
			a, env := withAPI(t)
			var hosts []*harness.Host
			redisURL := ""
			if adapter == "embedded" {
				hosts = append(hosts, harness.StartHost(t, harness.HostConfig{Name: "host-a", Workers: 2, Env: env}))
			} else {
				redis := testkit.StartRedis(t)
				redisURL = redis.URL()
				env = append(env, "SIDEREAL_ADAPTER="+adapter)
				hosts = append(hosts,
					harness.StartHost(t, harness.HostConfig{Name: "host-a", RedisURL: redis.URL(), Workers: 1, Env: env}),
					harness.StartHost(t, harness.HostConfig{Name: "host-b", RedisURL: redis.URL(), Workers: 1, Env: env[2:]}))
				for _, h := range hosts {
					h.AwaitWorkers(t, 2)
				}
			}
			last := hosts[len(hosts)-1]
			ada, grace := newGuest(t, hosts[0].URL, client.WebSocket), newGuest(t, last.URL, client.Polling)
			a.accepted(t, "/v1/join", `{"sockets":["`+grace.ID()+`"],"join":["vip"]}`)
			a.accepted(t, "/v1/emit", `{"event":"news","args":["for vips",{"$base64":"IQ=="}],"rooms":["vip"]}`)
			a.accepted(t, "/v1/emit", `{"event":"news","args":["for others"],"except":["vip"]}`)
			code, text := a.post(t, "/v1/batch", `{"op":"emit","event":"news","args":["one"]}`+"\n"+`{"op":"emit","event":"news","args":["two"]}`)
			if code != http.StatusOK || text != "{\"status\":202}\n{\"status\":202}\n" {
				t.Fatalf("%d %s", code, text)
			}
			for g, want := range map[*guest][]string{ada: {"for others", "one", "two"}, grace: {"for vips!", "one", "two"}} {
				for _, w := range want {
					if got := testkit.Receive(t, w, g.heard); got != w {
						t.Errorf("heard %q, want %q", got, w)
					}
				}
			}
			code, text = a.post(t, "/v1/emit", `{"event":"ask","timeout":20000}`)
			if want := `{"status":200,"responses":["yes","yes"],"asked":2,"missing":0}`; code != http.StatusOK || strings.TrimSpace(text) != want {
				t.Errorf("%d %s", code, text)
			}
			if text := a.get(t, "/v1/sockets?limit=1"); strings.Count(text, `"handshake"`) != 1 || !strings.Contains(text, `"next":`) {
				t.Error(text)
			}
			if text := a.get(t, "/v1/sockets?room=vip"); !strings.Contains(text, `"id":"`+grace.ID()+`"`) || strings.Contains(text, ada.ID()) {
				t.Error(text)
			}
			if text := a.get(t, "/v1/rooms"); !strings.Contains(text, `"vip"`) {
				t.Error(text)
			}
			testkit.Until(t, "both workers to be known by name", func() bool {
				text := a.get(t, "/v1/servers")
				return strings.Contains(text, `"count":2`) && strings.Count(text, `"name":"host-`) == 2
			})
			answers, stderr, code := runIn(t, append(env, "SIDEREAL_ADDR="), "emit", "ask", `{"a":1}`, "--room", "vip", "--ack", "20s")
			if code != 0 || answers != "\"yes\"\n" {
				t.Errorf("%d %s %s", code, answers, stderr)
			}
			if adapter != "embedded" {
				direct := append(env[2:], "SIDEREAL_REDIS_URL="+redisURL)
				if answers, stderr, code := runIn(t, direct, "emit", "ask", "--ack", "20s"); code != 0 || answers != "\"yes\"\n\"yes\"\n" {
					t.Errorf("%d %s %s", code, answers, stderr)
				}
				if answers, stderr, code := runIn(t, direct, "emit", "news", `"three"`); code != 0 || answers != "" {
					t.Errorf("%d %s %s", code, answers, stderr)
				}
				for _, g := range []*guest{ada, grace} {
					if got := testkit.Receive(t, "three", g.heard); got != "three" {
						t.Errorf("heard %q", got)
					}
				}
			}
			a.accepted(t, "/v1/disconnect", `{"rooms":["vip"],"close":true}`)
			testkit.Receive(t, "the end of vips", grace.gone)
			code, text = a.post(t, "/v1/emit", `{"event":"news","rooms":"vip"}`)
			var fault struct{ Member string }
			if err := json.NewDecoder(bytes.NewBufferString(text)).Decode(&fault); err != nil || code != http.StatusBadRequest || fault.Member != "/rooms" {
				t.Errorf("%d %s", code, text)
			}
		})
	}
}

// TestAPIOfAPlainNodeApp: the API beside a Node app that sets no adapter finds the app's key, and so
// does `sidereal emit` beside the daemon, with the API or straight through Redis.
func TestAPIOfAPlainNodeApp(t *testing.T) {
	for _, straight := range []bool{false, true} {
		t.Run(fmt.Sprintf("straight=%t", straight), func(t *testing.T) {
			a, env := withAPI(t)
			if straight {
				env = nil
			}
			addr := harness.Loopback(t)
			b := newBackground(t, append(env, "SIDEREAL_REDIS_URL="+testkit.StartRedis(t).URL(), "NODE_PATH="+filepath.Join(harness.Root(), "e2e", "node_modules"))...)
			dir := t.TempDir()
			script := `const server = require("http").createServer();
new (require("socket.io").Server)(server);
server.listen(` + addr[strings.LastIndex(addr, ":")+1:] + `);`
			if err := os.WriteFile(filepath.Join(dir, "plain.js"), []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			b.must(dir, "start", "plain.js", "-i", "2")
			g := newGuest(t, "http://"+addr, client.WebSocket)
			heard := func(want string) {
				t.Helper()
				if got := testkit.Receive(t, want, g.heard); got != want {
					t.Errorf("heard %q, want %q", got, want)
				}
			}
			if !straight {
				a.accepted(t, "/v1/emit", `{"event":"news","args":["by the API"]}`)
				heard("by the API")
			}
			b.must(dir, "emit", "news", `"by the command"`)
			heard("by the command")
		})
	}
}
