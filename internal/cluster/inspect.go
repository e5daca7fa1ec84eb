package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

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

var errNoAdmin = errors.New("no records to ask: set SIDEREAL_REDIS_URL, or SIDEREAL_ADMIN_ADDR of a running host")

// Overview asks Redis, or the host at the admin address if no Redis is set. It returns an
// *AbsentError if nothing of the app is there.
func (i *Inspector) Overview(ctx context.Context) (o *Overview, err error) {
	if i.set.RedisURL == "" {
		if i.admin == nil {
			return nil, errNoAdmin
		}
		o = new(Overview)
		if err := i.admin.Cluster(ctx, o); err != nil {
			return nil, i.unanswered(err)
		}
		if name := i.set.App.App; name != o.App && name != defaultApp {
			return nil, &AbsentError{App: name, At: "the host at " + i.set.AdminAddr, Apps: []string{o.App}}
		}
		return o, nil
	}
	err = i.look(ctx, func(dir *directory.Directory) error {
		if o = OverviewOf(i.set.App.App, dir.Workers()); len(o.Hosts) > 0 {
			return nil
		}
		absent := &AbsentError{App: i.set.App.App, At: config.Hidden(i.set.RedisURL)}
		absent.Apps, absent.Unknown = dir.Apps(ctx)
		return absent
	})
	if err != nil {
		return nil, err
	}
	return o, nil
}

const defaultApp = "default" // of SIDEREAL_APP

// AbsentError reports that no host, router or worker of an app is there.
type AbsentError struct {
	App     string
	At      string   // the Redis or the host that was asked
	Apps    []string // that are there
	Unknown error    // why Apps may lack some; nil if it has all
}

const mostApps = 20 // that an AbsentError names

// Error names the apps that are there.
func (e *AbsentError) Error() string {
	there := "no app is there"
	if len(e.Apps) > 0 {
		named := strings.Join(e.Apps[:min(len(e.Apps), mostApps)], ", ")
		if more := len(e.Apps) - mostApps; more > 0 {
			named += fmt.Sprintf(" and %d more", more)
		}
		there = "there are: " + named
	}
	if e.Unknown != nil {
		there += fmt.Sprintf(" (not all keys were seen: %v)", e.Unknown)
	}
	return fmt.Sprintf("no router or worker of the app %q at %s; %s", e.App, e.At, there)
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
