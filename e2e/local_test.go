//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/e2e/harness"
)

// connections is how many connections the host's router passed to workers, and how many it relayed.
func connections(h *harness.Host) (passed, relayed float64) {
	for name, value := range h.Metrics() {
		switch {
		case !strings.HasPrefix(name, "sidereal_router_connections_total{"):
		case strings.Contains(name, `kind="passed"`):
			passed += value
		case strings.Contains(name, `kind="relayed"`):
			relayed += value
		}
	}
	return passed, relayed
}

// webSockets connects clients that begin with a WebSocket, each at the entry that it is given.
func webSockets(t *testing.T, n int, entry func(i int) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	var g errgroup.Group
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error {
			c, err := client.New(client.Config{URL: entry(i), Transports: []string{client.WebSocket}})
			if err != nil {
				return err
			}
			t.Cleanup(func() { c.Close() })
			if err := c.Of("/").Connect(ctx); err != nil {
				return fmt.Errorf("client %d: %w", i, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// TestLocalFirst: WebSockets that enter evenly stay where they enter. If all enter at one host, the
// other gets its part.
func TestLocalFirst(t *testing.T) {
	_, hosts := pair(t)
	// A router takes so many before it needs to know of the other's, whose news is late on a busy
	// machine: 42 are 25 % above the mean of 42 and none, and 8 for each of its workers.
	const each = 42
	webSockets(t, 2*each, func(i int) string { return hosts[i%2].URL })
	for _, h := range hosts {
		if passed, relayed := connections(h); passed != each || relayed != 0 {
			t.Errorf("%v of %d WebSockets are passed, %v relayed", passed, each, relayed)
		}
		if n := h.Sessions(); n != each {
			t.Errorf("%d sessions at a host, want %d", n, each)
		}
	}
	const rest, mean = 600 - 2*each, 300
	webSockets(t, rest, func(int) string { return hosts[0].URL })
	sum := hosts[0].Sessions() + hosts[1].Sessions()
	if n := hosts[0].Sessions(); sum != 2*mean || n < mean || n > 416 { // 300 * 1.25, and 8 for each of its workers, and what came at once
		t.Errorf("%d of %d sessions at the only entry", n, sum)
	}
}
