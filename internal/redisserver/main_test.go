package redisserver

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sidereal-io/sidereal/internal/redisconn"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestMain looks for leaks. The library's pool dials a dead Redis once a second, and notices its own end only then.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
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

type heard struct{ channel, payload string }

// listener runs a Subscription whose messages and ups are channels. The messages are as many as a test sends, so that
// the subscription never waits for the test.
type listener struct {
	*redisconn.Subscription
	messages chan heard
	up, down chan struct{}
}

func listen(t *testing.T, c *redisconn.Conn, cfg redisconn.SubConfig) *listener {
	t.Helper()
	l := &listener{messages: make(chan heard, 1<<16), up: make(chan struct{}, 64), down: make(chan struct{}, 64)}
	cfg.OnMessage = func(channel string, payload []byte) bool {
		l.messages <- heard{strings.Clone(channel), string(payload)}
		return false
	}
	cfg.OnUp = func() { l.up <- struct{}{} }
	cfg.OnDown = func() { l.down <- struct{}{} }
	l.Subscription = c.Subscribe(cfg)
	testkit.Run(t, l.Run)
	return l
}

func (l *listener) expect(t *testing.T, channel, payload string) {
	t.Helper()
	if got := testkit.Receive(t, payload+" on "+channel, l.messages); got != (heard{channel, payload}) {
		t.Fatalf("heard %q on %q, want %q on %q", got.payload, got.channel, payload, channel)
	}
}

func wait(t *testing.T, s interface{ Wait(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}
