package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/apikey"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	shopKey = "shop-0123456789abcdef"
	jobsKey = "jobs-0123456789abcdef"
)

// store is a Redis that the API finds there, or away.
type store struct {
	client redis.UniversalClient
	away   atomic.Bool
}

func (s *store) Client() redis.UniversalClient { return s.client }
func (s *store) Up() bool                      { return !s.away.Load() }

// fixture is an API on a Redis.
type fixture struct {
	*httptest.Server
	store   *store
	log     *testkit.Output
	metrics *prometheus.Registry
}

// serve starts an API on the Redis at addr, before which a password may stand with an @.
func serve(t testing.TB, addr string, change func(*Config)) *fixture {
	t.Helper()
	password, addr, ok := strings.Cut(addr, "@")
	if !ok {
		password, addr = "", password
	}
	client := redis.NewClient(&redis.Options{Addr: addr, Password: password, ContextTimeoutEnabled: true, MaxRetries: -1, PoolSize: 8})
	return serveOn(t, emitter.Config{Redis: client}, change)
}

// serveOn starts an API on the client of an emitter's configuration.
func serveOn(t testing.TB, to emitter.Config, change func(*Config)) *fixture {
	t.Helper()
	f := &fixture{store: &store{client: to.Redis}, log: new(testkit.Output), metrics: prometheus.NewRegistry()}
	e, err := emitter.New(to)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := apikey.Parse("shop=" + shopKey + ",jobs:emit+join@/orders+/=" + jobsKey)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Keys: keys, App: "chat", Redis: f.store, Emitter: e, Cluster: cluster.NewHub(), Metrics: f.metrics,
		Log: slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		f.Close()
		to.Redis.Close()
	})
	return f
}

// answer is what the API says.
type answer struct {
	Code                                          int
	Header                                        http.Header
	Text                                          string
	Status                                        int
	Type, Title, Detail, Member, Outcome, Request string
}

// kind is the last part of a problem's type.
func (a answer) kind() string { return strings.TrimPrefix(a.Type, "urn:sidereal:problem:") }

// do sends a request with the key of the shop.
func (f *fixture) do(t testing.TB, method, path, body string, change func(*http.Request)) (a answer) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+shopKey)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if change != nil {
		change(req)
	}
	res, err := f.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("\n{")) {
		if err := json.Unmarshal(text, &a); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	a.Code, a.Header, a.Text = res.StatusCode, res.Header, string(text)
	return a
}

func (f *fixture) post(t testing.TB, path, body string) answer {
	t.Helper()
	return f.do(t, http.MethodPost, path, body, nil)
}
