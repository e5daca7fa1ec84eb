package redisserver

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

func TestEmbeddedServesUntilItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	e, err := Serve(ctx, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(e.Addr(), "127.0.0.1:") {
		t.Errorf("listens on %s", e.Addr())
	}
	c := open(t, redisconn.Config{URL: e.URL()})
	if err := c.Check(ctx); err != nil {
		t.Fatal(err)
	}
	if err := open(t, redisconn.Config{URL: "redis://" + e.Addr()}).Check(ctx); !errors.Is(err, redisconn.ErrAuth) {
		t.Errorf("without password: %v", err)
	}
	if _, err := Serve(ctx, e.Addr(), ""); err == nil {
		t.Error("two on one port")
	}
	cancel()
	e.Wait()
	if err := c.Check(context.Background()); !errors.Is(err, redisconn.ErrUnreachable) {
		t.Errorf("after its end: %v", err)
	}
}

func TestEmbeddedKeysExpireByThemselves(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	e, err := Serve(ctx, "", "p")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Wait()
	defer cancel()
	client := open(t, redisconn.Config{URL: e.URL()}).Client()
	if err := client.Set(ctx, "k", "v", 100*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(ctx, "stays", "v", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	for !errors.Is(client.Get(ctx, "k").Err(), redis.Nil) { // go test's own timeout bounds it
	}
	if err := client.Get(ctx, "stays").Err(); err != nil {
		t.Error(err)
	}
}

// BenchmarkEmbeddedSet shows why the clock moves in ticks: with a clock that moves at each command,
// each command walks all keys.
func BenchmarkEmbeddedSet(b *testing.B) {
	for _, ticks := range []bool{true, false} {
		b.Run("ticks="+strconv.FormatBool(ticks), func(b *testing.B) {
			m := miniredis.NewMiniRedis()
			if err := m.Start(); err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			for i := range 10_000 {
				if err := m.Set("k"+strconv.Itoa(i), "v"); err != nil {
					b.Fatal(err)
				}
				m.SetTTL("k"+strconv.Itoa(i), time.Hour)
			}
			m.ClockTTL(true)
			if ticks {
				m.SetTime(time.Now())
			}
			client := open(b, redisconn.Config{URL: "redis://" + m.Addr()}).Client()
			b.ResetTimer()
			for range b.N {
				if err := client.Set(context.Background(), "x", "v", time.Minute).Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
