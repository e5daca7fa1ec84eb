package directory

import (
	"context"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// announcer tells the app's other processes about workers that can't speak for themselves.
type announcer struct {
	*app
	dead     chan string // to be declared gone
	silences chan event
}

func newAnnouncer(a *app) *announcer {
	return &announcer{app: a, dead: make(chan string, 16), silences: make(chan event, 16)}
}

// gone has others told that a worker is dead. It never blocks.
func (a *announcer) gone(id string) {
	select {
	case a.dead <- id:
	default: // too many at once: the other routers find out, or wait for the records to expire
	}
}

// silent has others told that a worker has missed its beats, or beats again. It never blocks.
func (a *announcer) silent(id string, silent bool) {
	e := event{Worker: id, State: stateHeard}
	if silent {
		e.State = stateSilent
	}
	select {
	case a.silences <- e:
	default: // the supervisor repeats it, or it ends by itself
	}
}

// run tells them until ctx ends.
func (a *announcer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id := <-a.dead:
			if err := a.announceGone(ctx, id, true); err != nil && ctx.Err() == nil {
				a.log.Debug("gone worker not announced", "worker", id, "error", err)
			}
		case e := <-a.silences:
			saying, cancel := context.WithTimeout(ctx, lookTimeout)
			if err := a.client.Publish(saying, a.keys.events(), encode(e)).Err(); err != nil && ctx.Err() == nil {
				a.log.Debug("silent worker not announced", "worker", e.Worker, "error", err)
			}
			cancel()
		}
	}
}

// announceGone removes a worker's record and then tells the routers. Dead says that the worker
// didn't say so itself.
func (a *app) announceGone(ctx context.Context, id string, dead bool) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	pipe := a.client.Pipeline()
	pipe.Del(ctx, a.keys.worker(id))
	pipe.SRem(ctx, a.keys.workers(), id)
	pipe.HDel(ctx, a.keys.beats(), workerField(id))
	pipe.Publish(ctx, a.keys.events(), encode(event{id, stateGone, dead}))
	_, err := pipe.Exec(ctx)
	return redisconn.Classify(err)
}
