package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// Config says which app's cluster to open.
type Config struct {
	Redis   config.Redis
	App     string
	SIDTTL  time.Duration // zero for the directory's default
	Log     *slog.Logger
	Metrics prometheus.Registerer // nil registers nothing
}

// Cluster is the Redis that the hosts of an app share, with the app's directory in it.
type Cluster struct {
	Conn      *redisconn.Conn
	Directory *directory.Directory

	redis config.Redis
}

// Open checks cfg. It dials nothing and starts nothing.
func Open(ctx context.Context, cfg Config) (*Cluster, error) {
	conn, err := cfg.Redis.Open(cfg.Log, cfg.Metrics)
	if err != nil {
		return nil, err
	}
	dir, err := directory.Open(ctx, directory.Config{Conn: conn, App: cfg.App, SIDTTL: cfg.SIDTTL, Log: cfg.Log, Metrics: cfg.Metrics})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &Cluster{Conn: conn, Directory: dir, redis: cfg.Redis}, nil
}

// Run follows Redis and the directory until ctx ends.
func (c *Cluster) Run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return c.Conn.Run(ctx) })
	parts.Go(func() error { return c.Directory.Run(ctx) })
	return parts.Wait()
}

// Check tries Redis, and every right that the directory needs there.
func (c *Cluster) Check(ctx context.Context) error {
	err := c.Conn.Check(ctx)
	if err == nil {
		err = c.Directory.Check(ctx)
	}
	return c.redis.Problem(err)
}

// Reach waits until Redis answers. It fails at once if only an operator can fix the reason.
// Otherwise it calls run, which has to start Run, and if Redis doesn't answer yet, waiting with the
// reason. It returns the address from which this host reaches Redis.
func (c *Cluster) Reach(ctx context.Context, run func(), waiting func(error)) (netip.Addr, error) {
	err := c.Check(ctx)
	if err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return netip.Addr{}, err
	}
	run()
	if err != nil {
		waiting(err)
		if err := c.Conn.Reach(ctx); err != nil {
			return netip.Addr{}, c.redis.Problem(err)
		}
	}
	return c.Conn.LocalIP(ctx)
}

// othersTimeout is how long Others may wait for the directory.
const othersTimeout = time.Second

// Others returns the hosts that have workers of the app, without the host self. ok is false if the
// directory is not there yet.
func (c *Cluster) Others(ctx context.Context, self string) (hosts []string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, othersTimeout)
	defer cancel()
	if c.Directory.Synced(ctx) != nil {
		return nil, false
	}
	for _, w := range c.Directory.Workers().All() {
		if w.Host != self {
			hosts = append(hosts, w.Host)
		}
	}
	slices.SortFunc(hosts, strings.Compare)
	return slices.Compact(hosts), true
}

// Close closes the connection. Run must have returned.
func (c *Cluster) Close() error { return c.Conn.Close() }
