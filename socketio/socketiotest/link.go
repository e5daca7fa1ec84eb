package socketiotest

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	sidereal "github.com/sidereal-io/sidereal"
	"github.com/sidereal-io/sidereal/adapter"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/cluster"
)

// Link says how the servers of a test hear each other. The zero value is a [cluster.Hub], with
// connection state recovery: within the process, in bubbles, too.
type Link struct {
	// Redis is a Redis that tests may use. Each ServeCluster has keys of its own, which it
	// removes. Isolate and Kill need a URL that begins with "redis://".
	Redis sidereal.Redis
	// Form is the adapter's. Nil means adapter.Classic.
	Form adapter.Form
}

// EachLink runs a test on the Hub, in a bubble, and, unless redis is empty, on the Redis with that
// URL in each of the forms. Without forms it runs in all three. Recovery works on the Hub and over
// adapter.Streams. When Connect or an answer has come back to the test, all servers have heard what
// the others had emitted before.
func EachLink(t *testing.T, redis string, test func(t *testing.T, link Link), forms ...adapter.Form) {
	t.Helper()
	t.Run("hub", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, Link{}) })
	})
	if redis == "" {
		return
	}
	if len(forms) == 0 {
		forms = []adapter.Form{adapter.Classic{}, adapter.Sharded{}, adapter.Streams{}}
	}
	for _, form := range forms {
		name := strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", form), "adapter."))
		t.Run(name, func(t *testing.T) { test(t, Link{Redis: sidereal.Redis{URL: redis}, Form: form}) })
	}
}

// ServeCluster is the function ServeCluster over this link.
func (l Link) ServeCluster(t testing.TB, n int, cfg socketio.Config, app App) []*Server {
	t.Helper()
	if l.Redis.URL == "" {
		return newGroup(t, n, cfg, app, hub{cluster.NewHub()}).servers
	}
	r := &redisLink{Link: l, key: "socketiotest:" + strings.ToLower(rand.Text())}
	t.Cleanup(func() { r.clean(t) })
	return newGroup(t, n, cfg, app, r).servers
}

// redisLink links the servers of a test by package adapter.
type redisLink struct {
	Link
	key string // of everything in Redis
}

func (r *redisLink) open(t testing.TB, log *slog.Logger) member {
	t.Helper()
	m := new(redisMember)
	cfg := adapter.Config{Redis: r.Redis, Form: r.Form, Key: r.key, Log: log}
	if u, err := url.Parse(r.Redis.URL); err == nil && u.Scheme == "redis" {
		m.proxy = newProxy(t, u.Host)
		u.Host = m.proxy.address()
		cfg.Redis.URL = u.String()
	}
	if s, ok := cfg.Form.(adapter.Streams); ok {
		s.SessionKeyPrefix = r.key + ":session:"
		cfg.Form = s
	}
	a, err := adapter.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Adapter = a
	return m
}

// clean removes what the test has left in Redis.
func (r *redisLink) clean(t testing.TB) {
	t.Helper()
	opt, err := redis.ParseURL(r.Redis.URL)
	if err != nil {
		return // a Redis Cluster, or behind sentinels: what is left there expires, except streams
	}
	c := redis.NewClient(opt)
	defer func() { _ = c.Close() }() // it only gives up connections
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	keys := c.Scan(ctx, 0, r.key+"*", 1000).Iterator()
	for keys.Next(ctx) {
		if err := c.Unlink(ctx, keys.Val()).Err(); err != nil {
			t.Errorf("remove %s from Redis: %v", keys.Val(), err)
		}
	}
}

// redisMember is the place of one server in a cluster over Redis.
type redisMember struct {
	*adapter.Adapter
	proxy *proxy // nil if the connections to Redis can't be disturbed
}

func (m *redisMember) cluster() cluster.Cluster { return m.Adapter }

// poll is how often a member looks for something that nobody reports.
const poll = time.Millisecond

// until waits for cond, or the end of ctx.
func until(ctx context.Context, cond func() bool) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (m *redisMember) isolate(t testing.TB) {
	t.Helper()
	m.disturbable(t)
	m.proxy.shut()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := until(ctx, func() bool { return !m.Up() }); err != nil {
		t.Fatalf("the server has not noticed that Redis is away: %v", err)
	}
}

func (m *redisMember) rejoin(t testing.TB) {
	t.Helper()
	m.disturbable(t)
	m.proxy.open()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := m.Wait(ctx); err != nil {
		t.Fatalf("the server doesn't hear the others again: %v", err)
	}
}

func (m *redisMember) disturbable(t testing.TB) {
	t.Helper()
	if m.proxy == nil {
		t.Fatal("Isolate, Rejoin and Kill need a Redis with a URL that begins with redis://")
	}
}

func (m *redisMember) kill() {
	if m.proxy != nil {
		m.proxy.shut()
	}
}

func (m *redisMember) hears(ctx context.Context) (late bool, err error) {
	err = until(ctx, func() bool { return !m.Up() || m.Settled() })
	return m.Up(), err
}

func (m *redisMember) settled(ctx context.Context, io *socketio.Server, servers int) error {
	if err := m.Wait(ctx); err != nil {
		return err
	}
	for n := range io.Namespaces() {
		err := until(ctx, func() bool {
			count, err := n.ServerCount(ctx)
			return err == nil && count >= servers
		})
		if err != nil {
			return fmt.Errorf("namespace %s: %w", n.Name(), err)
		}
	}
	return nil
}
