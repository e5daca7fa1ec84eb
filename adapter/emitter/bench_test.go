package emitter_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/emitter"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// sink is a Redis that takes everything: what is left is the emitter's own cost, and the go-redis
// command's.
type sink struct{ recorder }

func (*sink) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(context.Context, redis.Cmder) error { return nil }
}

func benchmark(b *testing.B, call func(ctx context.Context, e *emitter.Emitter) error) {
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
	defer c.Close()
	c.AddHook(new(sink))
	e, err := emitter.New(emitter.Config{Redis: c})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := call(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEmit(b *testing.B) {
	text, binary := strings.Repeat("x", 1024), make([]byte, 64<<10)
	for _, c := range []struct {
		name string
		arg  any
	}{{"text 5 B", "hello"}, {"text 1 kB", text}, {"binary 64 kB", binary}, {"map", map[string]any{"n": 1.5, "s": []string{"a", "b"}}}} {
		b.Run(c.name, func(b *testing.B) {
			benchmark(b, func(ctx context.Context, e *emitter.Emitter) error { return e.To("room").Emit(ctx, "said", c.arg) })
		})
	}
}

func BenchmarkSocketsJoin(b *testing.B) {
	benchmark(b, func(ctx context.Context, e *emitter.Emitter) error { return e.In("room").SocketsJoin(ctx, "other") })
}

func BenchmarkServerSideEmit(b *testing.B) {
	benchmark(b, func(ctx context.Context, e *emitter.Emitter) error { return e.ServerSideEmit(ctx, "said", "hello") })
}

// BenchmarkRedis is one emit and its answer on a real Redis, beside a bare PUBLISH of as many
// bytes.
func BenchmarkRedis(b *testing.B) {
	r := testkit.StartRedis(b)
	b.Run("Emit", func(b *testing.B) {
		e := dial(b, r.Addr())
		b.ReportAllocs()
		for b.Loop() {
			if err := e.To("room").Emit(b.Context(), "said", "hello"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("PUBLISH", func(b *testing.B) {
		c := redis.NewClient(&redis.Options{Addr: r.Addr(), ContextTimeoutEnabled: true})
		defer c.Close()
		msg := make([]byte, 75)
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Publish(b.Context(), "socket.io#/#room#", msg).Err(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
