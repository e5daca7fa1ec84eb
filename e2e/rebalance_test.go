//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
	"github.com/sidereal-io/sidereal/internal/rebalance"
	"github.com/sidereal-io/sidereal/internal/testkit"
	"github.com/sidereal-io/sidereal/socketio"
)

// listener is a client that counts what it hears.
type listener struct {
	*client.Client
	recovered atomic.Int64
	fresh     atomic.Int64 // connections that were not recovered, the first one included
	mu        sync.Mutex
	heard     []int
}

// audience connects n clients that join a room, client i at entry(i). Each fourth one polls, and
// the first ones are pinned.
func audience(t *testing.T, n, pinned int, entry func(i int) string) []*listener {
	t.Helper()
	all := make([]*listener, n)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(50)
	for i := range n {
		g.Go(func() error {
			transports := []string{client.WebSocket}
			if i%4 == 0 {
				transports = []string{client.Polling}
			}
			c, err := client.New(client.Config{URL: entry(i), Transports: transports})
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			l := &listener{Client: c}
			s := c.Of("/")
			s.On("said", func(said struct{ Msg string }) {
				var n int
				if _, err := fmt.Sscanf(said.Msg, "line %d", &n); err == nil {
					l.mu.Lock()
					l.heard = append(l.heard, n)
					l.mu.Unlock()
				}
			})
			s.OnConnect(func() {
				if s.Recovered() {
					l.recovered.Add(1)
				} else {
					l.fresh.Add(1)
				}
			})
			if err := s.Connect(ctx); err != nil {
				return fmt.Errorf("client %d: %w", i, err)
			}
			all[i] = l
			if i < pinned {
				if _, err := s.EmitWithAck(ctx, "join", socketio.Pinned("stage")); err != nil {
					return err
				}
			}
			_, err = s.EmitWithAck(ctx, "join", "hall")
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

// rebalanceWith runs `sidereal rebalance`.
func rebalanceWith(t *testing.T, redis *testkit.Redis, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), harness.Binary(), append([]string{"rebalance"}, args...)...)
	cmd.Env = append(os.Environ(), "SIDEREAL_REDIS_URL="+redis.URL())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("sidereal rebalance %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestRebalanceFillsAHostThatJoins: two hosts are full and a third joins empty. A dry run closes
// nothing. The rebalance makes the shares even while a client speaks to all, and nobody misses a
// line or hears one twice.
func TestRebalanceFillsAHostThatJoins(t *testing.T) {
	t.Parallel()
	n := 240
	if rebalanceSoak {
		n = 1000
	}
	redis := testkit.StartRedis(t)
	hosts := []*harness.Host{recovering(t, redis, "host-a", 1), recovering(t, redis, "host-b", 1)}
	for _, h := range hosts {
		h.AwaitWorkers(t, 2)
	}
	all := audience(t, n, 20, func(i int) string { return hosts[i%2].URL })
	hosts = append(hosts, recovering(t, redis, "host-c", 1))
	for _, h := range hosts {
		h.AwaitWorkers(t, 3)
	}
	harness.AwaitSessions(t, n, hosts...)

	var plan rebalance.Plan
	testkit.Until(t, "the sessions in the records", func() bool {
		if err := json.Unmarshal([]byte(rebalanceWith(t, redis, "--dry-run", "--json")), &plan); err != nil {
			t.Fatal(err)
		}
		return plan.Sessions == n
	})
	if want := n / 3; plan.Moves < want-2 || plan.Moves > want || plan.Sessions != n || len(plan.Hosts) != 3 {
		t.Errorf("plan %+v, want %d moves", plan, want)
	}
	if got := hosts[2].Sessions(); got != 0 {
		t.Errorf("a dry run has moved %d sessions", got)
	}

	speaker := audience(t, 1, 1, func(int) string { return hosts[0].URL })[0]
	ctx, stop := context.WithCancel(t.Context())
	said, done := 0, make(chan error, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; said++ {
			if _, err := speaker.Of("/").EmitWithAck(t.Context(), "say", map[string]string{"room": "hall", "msg": fmt.Sprint("line ", said)}); err != nil {
				done <- err
				return
			}
			<-tick.C
		}
		done <- nil
	}()
	out := rebalanceWith(t, redis)
	if !strings.Contains(out, "sessions move, in about") {
		t.Errorf("said:\n%s", out)
	}
	harness.AwaitSessions(t, n+1, hosts...)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	recovered := 0
	for i, l := range all {
		testkit.Until(t, fmt.Sprintf("all lines at client %d", i), func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.heard) >= said
		})
		l.mu.Lock()
		for at, line := range l.heard {
			if at != line {
				t.Errorf("client %d: line %d came as number %d of %d", i, line, at, len(l.heard))
				break
			}
		}
		l.mu.Unlock()
		if l.fresh.Load() != 1 || l.recovered.Load() > 1 {
			t.Errorf("client %d connected anew %d times, and was recovered %d times", i, l.fresh.Load(), l.recovered.Load())
		}
		if i < 20 && l.recovered.Load() > 0 {
			t.Errorf("client %d was moved, though it is pinned", i)
		}
		recovered += int(l.recovered.Load())
	}
	if recovered > plan.Moves+1 || recovered < plan.Moves-1 { // the speaker made the shares other ones
		t.Errorf("%d clients were moved, %d planned", recovered, plan.Moves)
	}
	for i, h := range hosts {
		if got := h.Sessions(); got < n/3-n/12 || got > n/3+n/12+1 {
			t.Errorf("host %d has %d of %d sessions", i, got, n)
		}
	}
	testkit.Until(t, "the shares in the records", func() bool {
		return strings.Contains(rebalanceWith(t, redis, "--dry-run"), "nothing to move")
	})
}

// TestRebalanceByItself: with SIDEREAL_REBALANCE=auto nobody has to ask, and then all rest.
func TestRebalanceByItself(t *testing.T) {
	t.Parallel()
	redis := testkit.StartRedis(t)
	start := func(name string) *harness.Host {
		return harness.StartHost(t, harness.HostConfig{Name: name, RedisURL: redis.URL(), Workers: 1,
			Env: []string{"SIDEREAL_ADAPTER=redis-streams", "SIDEREAL_RECOVERY=1m", "SIDEREAL_REBALANCE=auto"}})
	}
	hosts := []*harness.Host{start("host-a"), start("host-b")}
	for _, h := range hosts {
		h.AwaitWorkers(t, 2)
	}
	all := audience(t, 120, 0, func(i int) string { return hosts[i%2].URL })
	hosts = append(hosts, start("host-c"))
	testkit.Until(t, "the third host's share", func() bool { return hosts[2].Sessions() >= 38 })
	harness.AwaitSessions(t, len(all), hosts...)
	ordered := 0.0
	for _, h := range hosts {
		for name, n := range h.Metrics() {
			if strings.HasPrefix(name, "sidereal_rebalances_total") {
				ordered += n
			}
		}
	}
	if ordered != 1 {
		t.Errorf("%v rebalances were ordered", ordered)
	}
	for i, l := range all {
		if l.fresh.Load() != 1 || l.recovered.Load() > 1 {
			t.Errorf("client %d connected anew %d times, and was recovered %d times", i, l.fresh.Load(), l.recovered.Load())
		}
	}
}
