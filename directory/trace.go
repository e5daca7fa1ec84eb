package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Trace is what a directory knows about a sid, by source, and its answer.
type Trace struct {
	SID      string        `json:"sid"`
	Decision string        `json:"decision"`         // as in Owner
	Worker   *Worker       `json:"worker,omitempty"` // the owner's record; nil exactly with DecisionUnknown
	Cache    string        `json:"cache,omitempty"`  // the owner that this process remembers
	Entry    string        `json:"entry,omitempty"`  // the owner in Redis
	TTL      time.Duration `json:"ttl,omitempty"`    // what is left of the entry, in nanoseconds
	Tag      string        `json:"tag,omitempty"`    // the worker id that the sid begins with, if it has the form of MintSID's
	Away     bool          `json:"away,omitempty"`   // Redis didn't answer: there may be an entry
}

// trace answers [Directory.Trace].
func (f *finder) trace(ctx context.Context, sid string) (Trace, error) {
	t := Trace{SID: sid, Decision: DecisionUnknown}
	t.Cache, _ = f.sids.cache.peek(sid)
	if id, ok := workerOf(sid); ok {
		t.Tag = id
	}
	err := f.traceEntry(ctx, &t)
	t.Away = err != nil
	switch tagged := f.workers.Workers().tagged(sid); {
	case t.Cache != "":
		t.decide(DecisionCache, f.worker(ctx, t.Cache, true))
	case t.Entry != "":
		t.decide(DecisionTable, f.worker(ctx, t.Entry, true))
	case tagged != nil:
		t.decide(DecisionTag, tagged)
	}
	return t, err
}

func (t *Trace) decide(decision string, w *Worker) {
	if w != nil {
		t.Decision, t.Worker = decision, w
	}
}

func (f *finder) traceEntry(ctx context.Context, t *Trace) error {
	if t.SID == "" || len(t.SID) > maxSID {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, untaggedWait)
	defer cancel()
	pipe := f.client.Pipeline()
	get, left := pipe.Get(ctx, f.keys.sid(t.SID)), pipe.PTTL(ctx, f.keys.sid(t.SID))
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("directory: trace: %w", redisconn.Classify(err))
	}
	if t.Entry = get.Val(); t.Entry != "" {
		t.TTL = max(left.Val(), 0)
	}
	return nil
}
