package link

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// How long the publisher waits for answers. A Redis that is frozen, paused or busy carries out its
// commands when it goes on. Closing the connection would lose an unknown part of them, and sending
// them again would double an unknown part. So the watchdog gives up a connection only when it is
// certainly dead: it has ended, another Redis answers in its place, or Redis keeps carrying out
// later commands that came over other connections. In a Redis Cluster the messages of the other
// nodes wait too, so there it also gives up a connection to a node that leaves a later command
// unanswered. A node that is only slow keeps its connection: closing it would lose a whole batch.
const (
	unansweredFor = 2 * time.Second // then Redis is asked how it is
	askedEvery    = time.Second
	passedBy      = 6 // later commands
)

// watchdog decides about batches that Redis leaves unanswered.
type watchdog struct {
	pipelines *pipelines
	log       *slog.Logger
	overdue   *time.Timer   // runs while a batch is under way
	slow      chan struct{} // overdue has run out

	mu     sync.Mutex // guards the rest
	number uint64     // of batches that were begun or ended: odd while one is under way
	sentTo string     // the incarnation of Redis when the batch was begun
}

func newWatchdog(p *pipelines, log *slog.Logger) *watchdog {
	w := &watchdog{pipelines: p, log: log, slow: make(chan struct{}, 1)}
	w.overdue = time.AfterFunc(time.Hour, func() {
		select {
		case w.slow <- struct{}{}:
		default:
		}
	})
	w.overdue.Stop()
	return w
}

// begin notes that a batch goes to the Redis of an incarnation.
func (w *watchdog) begin(sentTo string) {
	w.mu.Lock()
	w.number++
	w.sentTo = sentTo
	w.mu.Unlock()
	w.overdue.Reset(unansweredFor)
}

// end notes that the batch has ended.
func (w *watchdog) end() {
	w.overdue.Stop()
	w.mu.Lock()
	w.number++
	w.mu.Unlock()
}

func (w *watchdog) batch() (number uint64, sentTo string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.number, w.sentTo
}

// run watches until ctx ends. Replaced reports whether another Redis answers than the one of an
// incarnation. Silent returns those of the nodes that don't carry out a new command.
func (w *watchdog) run(ctx context.Context, replaced func(ctx context.Context, incarnation string) bool, silent func(context.Context, []*redis.Client) []*redis.Client) error {
	for {
		select {
		case <-w.slow:
		case <-ctx.Done():
			return nil
		}
		batch, sentTo := w.batch()
		unanswered := func() bool {
			now, _ := w.batch()
			return batch%2 == 1 && now == batch && ctx.Err() == nil
		}
		for passed := 0; unanswered(); sleep(ctx, askedEvery) {
			waiting := w.pipelines.waitingFor()
			dead := silent(ctx, waiting)
			if len(dead) == 0 {
				passed++
			}
			if !w.pipelines.conn.Cluster() {
				dead = nil
			}
			if passed == passedBy || replaced(ctx, sentTo) {
				dead = waiting
			}
			if len(dead) > 0 && w.pipelines.interrupt(dead, unanswered) {
				w.log.Warn("Redis doesn't answer messages; the connection is closed")
			}
		}
	}
}
