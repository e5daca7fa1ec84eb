package directory

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// checkedSIDs is the number of sids that Check looks for. A node of a Redis Cluster of two that was
// mistaken for a single Redis would have to serve all of them to hide the mistake.
const checkedSIDs = 32

// check tries every command: see [Directory.Check].
func (a *app) check(ctx context.Context) error {
	sid, id := "check-"+randomText(secretBytes), "check"
	tries := []struct {
		what string
		try  func(redis.Pipeliner)
	}{
		{"write sids", func(p redis.Pipeliner) { p.Set(ctx, a.keys.sid(sid), "", recordTTL) }},
		{"read sids", func(p redis.Pipeliner) {
			p.Get(ctx, a.keys.sid(sid))
			for range checkedSIDs {
				p.PTTL(ctx, a.keys.sid("check-"+randomText(secretBytes)))
			}
		}},
		{"delete sids", func(p redis.Pipeliner) { p.Del(ctx, a.keys.sid(sid)) }},
		{"write records", func(p redis.Pipeliner) {
			p.Exists(ctx, a.keys.worker(id))
			p.Set(ctx, a.keys.worker(id), "", recordTTL)
			p.Del(ctx, a.keys.worker(id))
			p.SAdd(ctx, a.keys.workers(), id)
			p.SRem(ctx, a.keys.workers(), id)
			p.HSet(ctx, a.keys.beats(), id, "")
			p.HDel(ctx, a.keys.beats(), id)
		}},
		{"read records", func(p redis.Pipeliner) {
			p.SMembers(ctx, a.keys.workers())
			p.SMembers(ctx, a.keys.routers())
			p.HGetAll(ctx, a.keys.beats())
			p.MGet(ctx, a.keys.worker(id))
		}},
		{"count sessions", func(p redis.Pipeliner) { p.IncrBy(ctx, a.keys.opened(), 0) }},
		{"publish events", func(p redis.Pipeliner) { p.Publish(ctx, a.keys.events(), "{}") }},
	}
	for _, t := range tries {
		pipe := a.client.Pipeline()
		t.try(pipe)
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("directory: %s: %w", t.what, redisconn.Classify(err))
		}
	}
	return a.checkEvents(ctx)
}

// checkEvents subscribes once; a missing right is Redis's first answer.
func (a *app) checkEvents(ctx context.Context) error {
	ps := a.client.Subscribe(ctx, a.keys.events())
	defer ps.Close()
	if _, err := ps.ReceiveTimeout(ctx, lookTimeout); err != nil {
		return fmt.Errorf("directory: subscribe to events: %w", redisconn.Classify(err))
	}
	return nil
}
