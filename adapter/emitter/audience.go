package emitter

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/adapter/internal/wire"
)

// lookEvery is the shortest time between two looks for servers, and so between two warnings.
const lookEvery = time.Minute

// classic is the name of the default adapter in SIDEREAL_ADAPTER.
const classic = "redis"

// audience warns if no server hears an emitter: none is up, or the emitter's settings aren't
// theirs. A message without receivers is no sign of that, since nobody may be in the room or in the
// namespace. So audience counts the subscribers of a channel of the main namespace, which every
// server has.
type audience struct {
	redis   redis.UniversalClient
	adapter string // as SIDEREAL_ADAPTER names it
	channel string
	shards  bool // the channel, or another one of its name, is of sharded pub/sub
	plain   bool // the channel, or another one of its name, is of ordinary pub/sub
	log     *slog.Logger
	next    atomic.Int64 // Unix time in ns before which nobody looks
}

func newAudience(cfg Config, adapter string, shards, plain bool) *audience {
	channels := wire.NewChannels(cfg.Key, "/")
	a := &audience{redis: cfg.Redis, adapter: adapter, channel: channels.Main, shards: shards, plain: plain, log: cmp.Or(cfg.Log, slog.Default())}
	if adapter == classic {
		a.channel = channels.Request
	}
	return a
}

// look counts the servers, unless somebody did within the last minute, and warns if there are none.
// It ignores a count that fails.
func (a *audience) look(ctx context.Context) {
	if a == nil { // of a pipeline, which isn't sent yet
		return
	}
	now, next := time.Now().UnixNano(), a.next.Load()
	if now < next || !a.next.CompareAndSwap(next, now+int64(lookEvery)) {
		return
	}
	if n, known := a.count(ctx); known && n == 0 {
		a.log.Warn("no server hears this emitter; the servers may be down, or use another Redis, adapter or key",
			"adapter", a.adapter, "channel", a.channel)
	}
}

// count returns the number of subscribers, if the client can tell. In a Redis Cluster every node
// has its own subscribers of ordinary channels.
func (a *audience) count(ctx context.Context) (n int64, known bool) {
	one, _ := a.redis.(*redis.Client)
	if of, ok := a.redis.(*redis.ClusterClient); ok && !a.plain {
		one, _ = of.MasterForKey(ctx, a.channel)
	}
	if one == nil {
		return 0, false
	}
	if a.shards {
		counts, err := one.PubSubShardNumSub(ctx, a.channel).Result()
		n, known = counts[a.channel], err == nil
	}
	if a.plain && n == 0 {
		counts, err := one.PubSubNumSub(ctx, a.channel).Result()
		n, known = counts[a.channel], err == nil
	}
	return n, known
}
