//go:build e2e

package e2e

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// load is clients that ask without a pause, each request at a random entry.
type load struct {
	clients  int
	answered atomic.Int64
	failed   chan error
	stop     context.CancelFunc
	asking   sync.WaitGroup
}

func startLoad(t *testing.T, entries []string, clients int, event string) *load {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &load{clients: clients, failed: make(chan error, clients), stop: stop}
	shared := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	for range clients {
		p := &harness.Poller{HTTP: shared, Entries: entries}
		if err := p.Open(ctx); err != nil {
			t.Fatal(err)
		}
		for i := range 4 * len(entries) { // every router has seen every session
			if _, err := p.Ask(ctx, i, event); err != nil {
				t.Fatal(err)
			}
		}
		l.asking.Go(func() {
			for i := 100; ctx.Err() == nil; i++ {
				if _, err := p.Ask(ctx, i, event); err != nil {
					if !errors.Is(err, context.Canceled) {
						l.failed <- err
					}
					return
				}
				l.answered.Add(1)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		l.asking.Wait()
		shared.CloseIdleConnections()
	})
	return l
}

// more waits until so many requests more are answered, for each client.
func (l *load) more(t *testing.T, each int) {
	t.Helper()
	want := l.answered.Load() + int64(each*l.clients)
	testkit.Until(t, "more answers", func() bool {
		select {
		case err := <-l.failed:
			t.Fatalf("a session's request: %v", err)
		default:
		}
		return l.answered.Load() >= want
	})
}

func (l *load) expectNoFailure(t *testing.T) {
	t.Helper()
	select {
	case err := <-l.failed:
		t.Errorf("a session's request: %v", err)
	default:
	}
}

// TestStoppedRedisUnderLoad: a Redis that is frozen costs sessions that exist not one request, at
// any entry.
func TestStoppedRedisUnderLoad(t *testing.T) {
	redis, hosts := pair(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*harness.Patience)
	defer cancel()
	stranger := &harness.Poller{HTTP: http.DefaultClient, Entries: []string{hosts[0].URL}}
	if err := stranger.Open(ctx); err != nil {
		t.Fatal(err)
	}
	freeze(t, redis, []string{hosts[0].URL, hosts[1].URL}, "whoami", func(l *load) {
		l.more(t, 30)
		stranger.Entries = []string{hosts[1].URL} // where only the sid itself tells whose it is
		if _, err := stranger.Ask(ctx, 1, "whoami"); err != nil {
			t.Errorf("at an entry that has not seen the session: %v", err)
		}
	}, hosts[:]...)
}

// TestStoppedRedisBeforeUpstreams: the same where only Redis and what routers remember say whose a
// sid is.
func TestStoppedRedisBeforeUpstreams(t *testing.T) {
	b := startUpstreams(t, 2)
	redis := testkit.StartRedis(t)
	var hosts []*harness.Host
	for _, name := range []string{"host-a", "host-b"} {
		hosts = append(hosts, harness.StartRouter(t, harness.HostConfig{Name: name, RedisURL: redis.URL(), Env: b.env()}))
	}
	for _, h := range hosts {
		h.AwaitWorkers(t, 2)
	}
	freeze(t, redis, []string{hosts[0].URL, hosts[1].URL}, "name", func(l *load) { l.more(t, 30) }, hosts...)
}

// freeze stops Redis under load, for as long as hold takes, and expects that nobody notices.
func freeze(t *testing.T, redis *testkit.Redis, entries []string, event string, hold func(*load), hosts ...*harness.Host) {
	t.Helper()
	l := startLoad(t, entries, 20, event)
	l.more(t, 5)
	redis.Stop()
	l.more(t, 5)
	for _, h := range hosts {
		h.AwaitRedis(t, false)
	}
	hold(l)
	redis.Cont()
	for _, h := range hosts {
		h.AwaitRedis(t, true)
	}
	l.more(t, 5)
	l.expectNoFailure(t)
	t.Logf("%d requests of %d sessions were answered, none failed", l.answered.Load(), l.clients)
	// And who comes now gets in, anywhere.
	for _, entry := range entries {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		p := &harness.Poller{HTTP: http.DefaultClient, Entries: []string{entry}}
		if err := p.Open(ctx); err != nil {
			t.Errorf("a new client at %s: %v", strings.TrimPrefix(entry, "http://"), err)
		}
		cancel()
	}
}
