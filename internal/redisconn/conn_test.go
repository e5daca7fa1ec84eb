package redisconn

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestCheckTellsWhatHelps(t *testing.T) {
	m := testkit.MiniRedis(t)
	m.RequireAuth("right")
	ctx := context.Background()
	url := "redis://" + m.Addr()

	if err := open(t, Config{URL: url, Password: "right"}).Check(ctx); err != nil {
		t.Errorf("right password: %v", err)
	}
	for _, password := range []string{"", "wrong"} {
		if err := open(t, Config{URL: url, Password: password}).Check(ctx); !errors.Is(err, ErrAuth) {
			t.Errorf("password %q: got %v, want ErrAuth", password, err)
		}
	}
	m.SetError("LOADING Redis is loading the dataset in memory")
	if err := open(t, Config{URL: url, Password: "right"}).Check(ctx); !errors.Is(err, ErrUnreachable) {
		t.Errorf("loading: got %v, want ErrUnreachable", err)
	}
	m.SetError("")
	m.Close()
	if err := open(t, Config{URL: url, Password: "right"}).Check(ctx); !errors.Is(err, ErrUnreachable) {
		t.Errorf("nobody listens: got %v, want ErrUnreachable", err)
	}
}

func TestCheckOnRealRedis(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t, "--requirepass", "right")
	ctx := context.Background()
	rich := open(t, Config{URL: r.URL(), Password: "right"})
	if err := rich.Check(ctx); err != nil {
		t.Errorf("right password: %v", err)
	}
	if err := rich.Client().Do(ctx, "ACL", "SETUSER", "poor", "on", ">p", "+hello", "+auth", "~*", "&*").Err(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, Config{URL: r.URL(), Password: "wrong"}).Check(ctx); !errors.Is(err, ErrAuth) {
		t.Errorf("wrong password: got %v, want ErrAuth", err)
	}
	if err := open(t, Config{URL: r.URL()}).Check(ctx); !errors.Is(err, ErrAuth) {
		t.Errorf("no password: got %v, want ErrAuth", err)
	}
	err := open(t, Config{URL: r.URL(), Username: "poor", Password: "p"}).Check(ctx)
	if !errors.Is(err, ErrRights) || !strings.Contains(err.Error(), "ping") {
		t.Errorf("no right to PING: got %v, want ErrRights that names it", err)
	}
	r.Stop()
	if err := open(t, Config{URL: r.URL(), Password: "right"}).Check(ctx); !errors.Is(err, ErrUnreachable) {
		t.Errorf("stopped: got %v, want ErrUnreachable", err)
	}
}

// TestPasswordThatNobodyAskedFor: on every connection alike, since a process with one half of them
// would be of no use.
func TestPasswordThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	c := open(t, Config{URL: r.URL(), Password: "unasked"})
	if err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	l := listen(t, c, SubConfig{Name: "test"})
	l.Add("news")
	wait(t, l)
	if err := c.Client().Publish(t.Context(), "news", "x").Err(); err != nil {
		t.Fatal(err)
	}
	l.Expect(t, "news", "x")
	if err := open(t, Config{URL: r.URL() + "/99"}).Check(t.Context()); !errors.Is(err, ErrDatabase) {
		t.Errorf("database 99: got %v, want ErrDatabase", err)
	}
}

func TestRunFollowsRedisDownAndUp(t *testing.T) {
	m := testkit.MiniRedis(t)
	m.RequireAuth("secret")
	var log testkit.Output
	reg := prometheus.NewRegistry()
	c := open(t, Config{URL: "redis://:secret@" + m.Addr(), Log: slog.New(loghandler.New(&log, slog.LevelInfo)), Metrics: reg})
	if c.Up() || c.Err() != nil {
		t.Error("up or failed before the first probe")
	}
	stop := testkit.Run(t, c.Run)
	if err := c.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m.Close()
		c.Doubt()
		testkit.Await(t, "down", c.Changed, func() bool { return !c.Up() })
		if !errors.Is(c.Err(), ErrUnreachable) {
			t.Errorf("down because of %v", c.Err())
		}
		if n, err := testutil.GatherAndCount(reg, "sidereal_redis_up"); n != 1 || err != nil {
			t.Errorf("metric: %d, %v", n, err)
		}
		if err := m.Restart(); err != nil {
			t.Fatal(err)
		}
		testkit.Await(t, "up", c.Changed, c.Up)
	}
	stop()
	if lost, back := log.Count("Redis lost"), log.Count("Redis is back"); lost != 2 || back != 2 {
		t.Errorf("%d lines of loss and %d of return, want 2 and 2", lost, back)
	}
	if log.Count("secret") != 0 {
		t.Error("the password is in the log")
	}
}

// TestRedisSaysWhyItIsStillLost: a restarted Redis that loads says so, though it was lost before.
func TestRedisSaysWhyItIsStillLost(t *testing.T) {
	m := testkit.MiniRedis(t)
	var log testkit.Output
	c := open(t, Config{URL: "redis://" + m.Addr(), Log: slog.New(loghandler.New(&log, slog.LevelInfo))})
	testkit.Run(t, c.Run)
	if err := c.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.Close()
	c.Doubt()
	testkit.Await(t, "down", c.Changed, func() bool { return !c.Up() })
	m.SetError("LOADING Redis is loading")
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"LOADING Redis is loading", "BUSY Redis is busy", "LOADING Redis is loading"} {
		m.SetError(word)
		testkit.Until(t, word, func() bool { return c.Err() != nil && strings.Contains(c.Err().Error(), word) })
	}
	m.SetError("")
	testkit.Await(t, "up", c.Changed, c.Up)
	for _, word := range []string{"LOADING", "BUSY"} {
		if n := log.Count(word); n != 1 {
			t.Errorf("%d lines say %s, want 1: %q", n, word, log.String())
		}
	}
	if n := log.Count("Redis lost"); n != 1 {
		t.Errorf("%d lines of loss, want 1", n)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	c := open(t, Config{URL: "redis://127.0.0.1:1"})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestStoppedRedisIsNoticed(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	c := open(t, Config{URL: r.URL()})
	testkit.Run(t, c.Run)
	testkit.Await(t, "up", c.Changed, c.Up)
	r.Stop()
	testkit.Await(t, "down", c.Changed, func() bool { return !c.Up() })
	r.Cont()
	testkit.Await(t, "up again", c.Changed, c.Up)
}
