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

// Check tries every command that this package needs, on keys of the app, and leaves nothing behind. An
// error is sidereal.ErrRedisUnreachable, or one that only an operator can fix: a wrong password, or a
// missing right, whose command or key it names.
func (d *Directory) Check(ctx context.Context) error {
	sid, id := "check-"+randomText(secretBytes), "check"
	tries := []struct {
		what string
		try  func(redis.Pipeliner)
	}{
		{"write sids", func(p redis.Pipeliner) { p.Set(ctx, d.keys.sid(sid), "", recordTTL) }},
		{"read sids", func(p redis.Pipeliner) {
			p.Get(ctx, d.keys.sid(sid))
			for range checkedSIDs {
				p.PTTL(ctx, d.keys.sid("check-"+randomText(secretBytes)))
			}
		}},
		{"delete sids", func(p redis.Pipeliner) { p.Del(ctx, d.keys.sid(sid)) }},
		{"write records", func(p redis.Pipeliner) {
			p.Exists(ctx, d.keys.worker(id))
			p.Set(ctx, d.keys.worker(id), "", recordTTL)
			p.Del(ctx, d.keys.worker(id))
			p.SAdd(ctx, d.keys.workers(), id)
			p.SRem(ctx, d.keys.workers(), id)
			p.HSet(ctx, d.keys.beats(), id, "")
			p.HDel(ctx, d.keys.beats(), id)
		}},
		{"read records", func(p redis.Pipeliner) {
			p.SMembers(ctx, d.keys.workers())
			p.SMembers(ctx, d.keys.routers())
			p.HGetAll(ctx, d.keys.beats())
			p.MGet(ctx, d.keys.worker(id))
		}},
		{"count sessions", func(p redis.Pipeliner) { p.IncrBy(ctx, d.keys.opened(), 0) }},
		{"publish events", func(p redis.Pipeliner) { p.Publish(ctx, d.keys.events(), "{}") }},
	}
	for _, t := range tries {
		pipe := d.client.Pipeline()
		t.try(pipe)
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("directory: %s: %w", t.what, redisconn.Classify(err))
		}
	}
	return d.checkEvents(ctx)
}

// checkEvents subscribes once; a missing right is Redis's first answer.
func (d *Directory) checkEvents(ctx context.Context) error {
	ps := d.client.Subscribe(ctx, d.keys.events())
	defer ps.Close()
	if _, err := ps.ReceiveTimeout(ctx, lookTimeout); err != nil {
		return fmt.Errorf("directory: subscribe to events: %w", redisconn.Classify(err))
	}
	return nil
}
