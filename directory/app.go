package directory

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// app is one app in one Redis. All parts of a Directory share it.
type app struct {
	clock
	keys    keys
	conn    *redisconn.Conn
	client  redis.UniversalClient
	log     *slog.Logger
	metrics *metrics
	ignored once // keys and records that are no good
}

func newApp(cfg Config, conn *redisconn.Conn) (*app, error) {
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("directory: register metrics: %w", err)
	}
	return &app{clock: newClock(), keys: keys{cfg.App}, conn: conn, client: conn.Client(), log: cfg.Log, metrics: m}, nil
}

// runConn runs the connection until stop, which closes it. The last writes need it.
func (a *app) runConn(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { _ = a.conn.Run(ctx) }) // it ends with ctx, without an error
	return func() {
		cancel()
		running.Wait()
		if err := a.conn.Close(); err != nil {
			a.log.Debug("close the connection to Redis", "error", err)
		}
	}
}

// clockHead is the time on a new clock, so that keys that were written earlier have a positive time
// too.
const clockHead = 30 * 24 * time.Hour

// clock is a monotonic clock. 0 is long ago.
type clock struct{ start time.Time }

func newClock() clock { return clock{time.Now().Add(-clockHead)} }

func (c clock) now() int64 { return int64(time.Since(c.start)) }
