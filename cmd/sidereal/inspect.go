package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"github.com/sidereal-io/sidereal/internal/admin"
	"github.com/sidereal-io/sidereal/internal/config"
)

// inspectTimeout is how long `sidereal cluster` and `sidereal trace` look for what they show.
const inspectTimeout = 5 * time.Second

// inspection is what the commands share that look at a cluster from outside.
type inspection struct {
	set   config.Inspect
	admin *admin.Client // nil: off
}

func newInspection(set config.Inspect) inspection {
	i := inspection{set: set}
	if !config.IsOff(set.AdminAddr) {
		i.admin = admin.NewClient(set.AdminAddr)
	}
	return i
}

// directory opens the cluster's directory in Redis, with everything that is there. Nothing is written: no right for that is
// needed.
func (i inspection) directory(ctx context.Context) (*node, error) {
	n, err := openNode(i.set.Redis, i.set.App.App, 0, zerolog.Nop())
	if err != nil {
		return nil, err
	}
	if err = n.conn.Check(ctx); err == nil {
		n.run()
		err = n.dir.Synced(ctx)
	}
	if err != nil {
		return nil, errors.Join(i.set.Redis.Problem(err), n.close())
	}
	return n, nil
}

// nobody says that neither Redis nor a host is there to be asked.
func (i inspection) nobody(err error) error {
	var dialed *url.Error
	if errors.As(err, &dialed) {
		err = dialed.Err
	}
	return fmt.Errorf("SIDEREAL_REDIS_URL is not set, and no host answers at %s: %w", i.set.AdminAddr, err)
}

var errNoAdmin = errors.New("SIDEREAL_REDIS_URL is not set, and SIDEREAL_ADMIN_ADDR is off: there is nobody to ask")

// age is how long something has run, for people: by the clocks of two hosts.
func age(started time.Time) string {
	d := time.Since(started)
	switch {
	case started.IsZero() || d < 0:
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// cut makes a text fit a column.
func cut(text string, width int) string {
	if r := []rune(text); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return text
}
