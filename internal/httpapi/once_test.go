package httpapi

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/redisserver"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// TestIdempotencyKey: a request that comes again, here or at another host, is carried out once.
func TestIdempotencyKey(t *testing.T) {
	embedded, err := redisserver.Serve(t.Context(), "127.0.0.1:0", "secret")
	if err != nil {
		t.Fatal(err)
	}
	for name, addr := range map[string]string{"a Redis": testkit.StartRedis(t).Addr(), "the embedded Redis": "secret@" + embedded.Addr()} {
		t.Run(name, func(t *testing.T) {
			hub := cluster.NewHub()
			if _, err := hub.Open(crowd{"/", 2}); err != nil {
				t.Fatal(err)
			}
			beside := func(c *Config) { c.Cluster = hub }
			hosts := []*fixture{serve(t, addr, beside), serve(t, addr, beside)}
			sub := hosts[0].store.client.PSubscribe(t.Context(), "socket.io*")
			defer sub.Close()
			if _, err := sub.Receive(t.Context()); err != nil {
				t.Fatal(err)
			}
			with := func(key string) func(*http.Request) {
				return func(r *http.Request) { r.Header.Set("Idempotency-Key", key) }
			}
			var clients sync.WaitGroup
			for i := range 8 {
				clients.Go(func() {
					a := hosts[i%2].do(t, "POST", "/v1/emit", `{"event":"first"}`, with("one"))
					if a.Code != http.StatusAccepted && a.kind() != "in-progress" {
						t.Errorf("%d %s", a.Code, a.Text)
					}
				})
			}
			clients.Wait()
			batch := strings.Repeat(`{"op":"emit","event":"lines"}`+"\n", 300)
			for _, h := range hosts {
				if a := h.do(t, "POST", "/v1/batch", batch, with("two")); strings.Count(a.Text, `"status":202`) != 300 {
					t.Errorf("%d %.300s", a.Code, a.Text)
				}
			}
			if a := hosts[1].do(t, "POST", "/v1/emit", `{"event":"other"}`, with("one")); a.kind() != "key-reused" || a.Code != http.StatusUnprocessableEntity {
				t.Errorf("%d %s", a.Code, a.Text)
			}
			if a := hosts[1].do(t, "POST", "/v1/emit", `{"event":"other"}`, with("")); a.kind() != "bad-value" {
				t.Errorf("%d %s", a.Code, a.Text)
			}
			ask := func(h *fixture, body string) answer { return h.do(t, "POST", "/v1/server-event", body, with("three")) }
			if first, again := ask(hosts[0], `{"event":"load","timeout":60000}`), ask(hosts[1], `{"event":"load","timeout":60000}`); first.Code != 200 || first.Text != again.Text || again.Code != 200 {
				t.Errorf("%d %s, then %d %s", first.Code, first.Text, again.Code, again.Text)
			}
			if a := ask(hosts[0], `{"event":"load","timeout":50000}`); a.kind() != "key-reused" {
				t.Errorf("%d %s", a.Code, a.Text)
			}
			if a := hosts[0].post(t, "/v1/emit", `{"event":"last"}`); a.Code != http.StatusAccepted {
				t.Errorf("%d %s", a.Code, a.Text)
			}
			counts := map[string]int{}
			for counts["last"] == 0 {
				got, err := sub.ReceiveMessage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, event := range []string{"first", "lines", "other", "last"} {
					if strings.Contains(got.Payload, event) {
						counts[event]++
					}
				}
			}
			if counts["first"] != 1 || counts["lines"] != 300 || counts["other"] != 0 {
				t.Error(counts)
			}
		})
	}
}

// TestIdempotencyKeyOnACluster: the keys of a request share a slot, and so a transaction. Sharded
// channels have slots of their own, and the answer says that nothing was sent.
func TestIdempotencyKeyOnACluster(t *testing.T) {
	c := testkit.StartCluster(t)
	options := &redis.ClusterOptions{ContextTimeoutEnabled: true}
	for _, node := range c.Nodes {
		options.Addrs = append(options.Addrs, node.Addr())
	}
	with := func(key string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Idempotency-Key", key) }
	}
	const lines = `{"op":"emit","event":"a","rooms":["one"]}` + "\n" + `{"op":"emit","event":"b","rooms":["two"]}` + "\n"
	f := serveOn(t, emitter.Config{Redis: redis.NewClusterClient(options)}, nil)
	sub := f.store.client.PSubscribe(t.Context(), "socket.io*")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if a := f.do(t, "POST", "/v1/batch", lines, with("batch")); strings.Count(a.Text, `"status":202`) != 2 {
			t.Errorf("%d %s", a.Code, a.Text)
		}
		if a := f.do(t, "POST", "/v1/emit", `{"event":"c"}`, with("emit")); a.Code != http.StatusAccepted {
			t.Errorf("%d %s", a.Code, a.Text)
		}
	}
	for _, event := range []string{"a", "b", "c"} {
		if m, err := sub.ReceiveMessage(t.Context()); err != nil || !strings.Contains(m.Payload, "\xa1"+event) {
			t.Errorf("%q, %v; want %s once", m, err, event)
		}
	}
	if a := f.do(t, "POST", "/v1/emit", `{"event":"other"}`, with("emit")); a.kind() != "key-reused" {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	sharded := serveOn(t, emitter.Config{Redis: redis.NewClusterClient(options), Form: emitter.Sharded{}}, nil)
	if a := sharded.do(t, "POST", "/v1/emit", `{"event":"d"}`, with("sharded")); a.Code != http.StatusBadRequest || a.Outcome != notSent || a.Member != "Idempotency-Key" {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	if a := sharded.post(t, "/v1/emit", `{"event":"d"}`); a.Code != http.StatusAccepted {
		t.Errorf("%d %s", a.Code, a.Text)
	}
}
