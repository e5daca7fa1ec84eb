package redisserver

import (
	"context"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m)
}

// open makes a connection that is closed with the test.
func open(t testing.TB, cfg redisconn.Config) *redisconn.Conn {
	t.Helper()
	c, err := redisconn.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// listener runs a Subscription and keeps what it reports.
type listener struct {
	*redisconn.Subscription
	*testkit.Heard
}

func listen(t *testing.T, c *redisconn.Conn, cfg redisconn.SubConfig) *listener {
	t.Helper()
	h := testkit.NewHeard()
	cfg.OnMessage, cfg.OnUp, cfg.OnDown = h.OnMessage, h.OnUp, h.OnDown
	l := &listener{c.Subscribe(cfg), h}
	testkit.Run(t, l.Run)
	return l
}

func wait(t *testing.T, s interface{ Wait(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}
