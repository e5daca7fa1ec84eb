package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"golang.org/x/sync/errgroup"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
)

// Inspector looks at the cluster of an app from outside. It writes nothing.
type Inspector struct {
	set   config.Inspect
	admin *admin.Client // nil if SIDEREAL_ADMIN_ADDR is off
}

// NewInspector makes an inspector.
func NewInspector(set config.Inspect) *Inspector {
	i := &Inspector{set: set}
	if !config.IsOff(set.AdminAddr) {
		i.admin = admin.NewClient(set.AdminAddr)
	}
	return i
}

var errNoAdmin = errors.New("SIDEREAL_REDIS_URL is not set, and SIDEREAL_ADMIN_ADDR is off: there is nobody to ask")

// Overview asks Redis, or the host at the admin address if no Redis is set.
func (i *Inspector) Overview(ctx context.Context) (o *Overview, err error) {
	if i.set.RedisURL == "" {
		if i.admin == nil {
			return nil, errNoAdmin
		}
		o = new(Overview)
		if err := i.admin.Cluster(ctx, o); err != nil {
			return nil, i.unanswered(err)
		}
		return o, nil
	}
	return o, i.look(ctx, func(dir *directory.Directory) error {
		o = OverviewOf(i.set.App.App, dir.Workers())
		return nil
	})
}

// Trace asks the router of the host at the admin address, which also knows what it remembers, and
// Redis if there is no such host or it runs another app.
func (i *Inspector) Trace(ctx context.Context, sid string) (t *Trace, err error) {
	t = new(Trace)
	asked := errNoAdmin
	if i.admin != nil {
		asked = i.admin.Trace(ctx, sid, t)
		if ours := t.App == i.set.App.App || i.set.RedisURL == ""; asked == nil && ours {
			return t, nil
		}
	}
	if i.set.RedisURL == "" {
		var answered *admin.AnswerError
		if i.admin == nil || errors.As(asked, &answered) {
			return nil, asked
		}
		return nil, i.unanswered(asked)
	}
	return t, i.look(ctx, func(dir *directory.Directory) error {
		found, err := dir.Trace(ctx, sid)
		*t = Trace{found, i.set.App.App, "redis"}
		return err
	})
}

// look calls f with the directory in Redis, once everything is there.
func (i *Inspector) look(ctx context.Context, f func(*directory.Directory) error) (err error) {
	c, err := Open(ctx, Config{Redis: i.set.Redis, App: i.set.App.App, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.Conn.Check(ctx); err != nil {
		return i.set.Redis.Problem(err)
	}
	following, stop := context.WithCancel(ctx)
	var parts errgroup.Group
	parts.Go(func() error { return c.Run(following) })
	defer func() {
		stop()
		err = errors.Join(err, parts.Wait())
	}()
	if err := c.Directory.Synced(ctx); err != nil {
		return i.set.Redis.Problem(err)
	}
	return f(c.Directory)
}

// unanswered says that there is neither a Redis nor a host to ask.
func (i *Inspector) unanswered(err error) error {
	var dialed *url.Error
	if errors.As(err, &dialed) {
		err = dialed.Err
	}
	return fmt.Errorf("SIDEREAL_REDIS_URL is not set, and no host answers at %s: %w", i.set.AdminAddr, err)
}
