package redisconn

import (
	"context"
	"sync"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// A burst of look-ups waits for connections that are there instead of making one for each.
func TestConnectionsAreBounded(t *testing.T) {
	m := testkit.MiniRedis(t)
	c, err := Open(Config{URL: "redis://" + m.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var asking sync.WaitGroup
	for range 20 * poolSize {
		asking.Go(func() {
			if err := c.Client().Set(context.Background(), "key", "value", 0).Err(); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if n := m.TotalConnectionCount(); n > poolSize {
		t.Errorf("%d connections, want %d at most", n, poolSize)
	}
}
