package daemon

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/redisconn"
)

// backend is an app's Redis as the daemon needs it: to find out how other hosts reach this one, and to tell them of workers
// that died.
type backend struct {
	set   config.Redis
	conn  *redisconn.Conn
	dir   *directory.Directory
	stop  context.CancelFunc
	parts errgroup.Group
}

// openBackend makes a backend. Nothing runs yet.
func openBackend(ctx context.Context, set config.Redis, app string, log zerolog.Logger) (*backend, error) {
	b := &backend{set: set, stop: func() {}}
	var err error
	if b.conn, err = set.Open(log, nil); err != nil {
		return nil, err
	}
	if b.dir, err = directory.Open(ctx, directory.Config{Conn: b.conn, App: app, Log: log}); err != nil {
		return nil, errors.Join(err, b.conn.Close())
	}
	return b, nil
}

// run follows Redis and the directory until close.
func (b *backend) run() {
	ctx, stop := context.WithCancel(context.Background())
	b.stop = stop
	b.parts.Go(func() error { return b.conn.Run(ctx) })
	b.parts.Go(func() error { return b.dir.Run(ctx) })
}

// reach runs, waits for Redis, and returns the address from which this host reaches it. What only the operator can mend is an
// error at once.
func (b *backend) reach(ctx context.Context, waiting func(error)) (netip.Addr, error) {
	err := b.conn.Check(ctx)
	if err == nil {
		err = b.dir.Check(ctx)
	}
	if err != nil && !errors.Is(err, redisconn.ErrUnreachable) {
		return netip.Addr{}, b.set.Problem(err)
	}
	b.run()
	if err != nil {
		waiting(err)
		if err := b.conn.Reach(ctx); err != nil {
			return netip.Addr{}, b.set.Problem(err)
		}
	}
	return b.conn.LocalIP(ctx)
}

// others names the other hosts that the app is found on, for a line about Redis.
func (b *backend) others(ctx context.Context, self string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if b.dir.Synced(ctx) != nil {
		return ""
	}
	var hosts []string
	for _, w := range b.dir.Workers().All() {
		if w.Host != self {
			hosts = append(hosts, w.Host)
		}
	}
	if len(hosts) == 0 {
		return ", no other host has this app yet"
	}
	slices.Sort(hosts)
	return ", shared with " + strings.Join(slices.Compact(hosts), ", ")
}

func (b *backend) close() error {
	b.stop()
	return errors.Join(b.parts.Wait(), b.conn.Close())
}

// quietly drops what the daemon's own connections to Redis have to say: the services say it too.
type quietly struct{}

func (quietly) Run(e *zerolog.Event, _ zerolog.Level, _ string) { e.Discard() }
