package directory

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// checkedSIDs is how many sids Check looks for: a node of a Redis Cluster of two, taken for a Redis of its own, has to be lucky
// so often to know nothing of the other.
const checkedSIDs = 32

// Check tries every command that this package needs on the app's own keys, leaving nothing behind. It returns nil or an
// error that errors.Is tells apart: redisconn's ErrRights (which names the command or key), ErrMoved, ErrAuth or ErrUnreachable.
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
		}},
		{"read records", func(p redis.Pipeliner) { p.SMembers(ctx, d.keys.workers()); p.SMembers(ctx, d.keys.routers()) }},
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
