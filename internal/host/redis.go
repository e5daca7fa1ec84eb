package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// maxEnds is how often a service may end in a row before those who wait for it give up. The host
// goes on trying.
const maxEnds = 3

// embeddedRedis is the Redis of the apps that name none. The first of them starts it.
type embeddedRedis struct {
	turn chan struct{} // holds a token while an app waits for the Redis
	set  *config.Redis // nil until it is started; the holder of the turn's
	apps atomic.Int32  // how many have it
}

// embed gives an app the embedded Redis. A lasting host waits until that answers. If it doesn't
// come up and no other app has it, embed removes it again, so the next app begins anew.
func (h *Host) embed(ctx context.Context, app string) (*config.Redis, error) {
	r := &h.redis
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	before := h.Statuses()[RedisPlace].Restarts
	var err error
	if r.set == nil {
		r.set, err = h.startRedis(ctx)
	} else {
		err = h.Processes.Start(RedisPlace) // it may have been given up, or wait for its next start
	}
	if err == nil && h.cfg.Supervisor.Lasting {
		err = h.awaitRedis(ctx, app, before)
	}
	if err == nil {
		r.apps.Add(1)
		return r.set, nil
	}
	if r.apps.Load() == 0 && r.set != nil {
		r.set = nil
		err = errors.Join(err, h.Processes.Remove(context.WithoutCancel(ctx), RedisPlace))
	}
	return nil, err
}

// startRedis adds the place of the embedded Redis.
func (h *Host) startRedis(ctx context.Context) (*config.Redis, error) {
	l, err := supervisor.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("embedded Redis: %w", err)
	}
	facts := h.facts
	facts.Redis = &config.Redis{RedisURL: "redis://" + l.Addr().String(), RedisPassword: rand.Text()}
	if err := h.Processes.Add(EmbeddedRedis(facts, h.cfg.Liveness, l)); err != nil {
		l.Close()
		return nil, err
	}
	return facts.Redis, nil
}

// awaitRedis waits until the embedded Redis is ready, or has shown that it won't be. It had
// restarted before times.
func (h *Host) awaitRedis(ctx context.Context, app string, before int) error {
	var why string
	err := h.Processes.Wait(ctx, func(st []supervisor.Status) bool {
		switch r := ByName(st)[RedisPlace]; {
		case r.State == supervisor.Ready:
			return true
		case r.State == supervisor.Errored:
			why = r.Reason
		case r.Restarts >= before+maxEnds && r.Last != nil:
			why = "keeps ending: " + r.Last.Cause
		}
		return why != ""
	})
	if err != nil || why == "" {
		return err
	}
	err = fmt.Errorf("%s: the embedded Redis isn't running: %s", app, why)
	if h.cfg.LogFile != "" {
		err = fmt.Errorf("%w: see %s", err, h.cfg.LogFile)
	}
	return err
}
