package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"

	"github.com/sidereal-io/sidereal/internal/config"
	"github.com/sidereal-io/sidereal/internal/host"
	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// embedded is the Redis of apps that have none.
type embedded struct {
	listener *net.TCPListener
	set      config.Redis
}

// embed gives an app the Redis of our own, once that answers. One that does not come up is taken away again, if no other app has
// it: the next command begins anew.
func (d *Daemon) embed(ctx context.Context, ap *application) (*embedded, error) {
	done, err := d.embeds.take(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var e *embedded
	d.do(func(b *book) { e = b.redis })
	before := d.statuses()[host.RedisPlace].Restarts
	if e == nil {
		e, err = d.addRedis(ctx)
	} else {
		err = d.sup.Start(host.RedisPlace) // in case that it was given up, or waits
	}
	if err == nil {
		err = d.awaitRedis(ctx, ap, before)
	}
	if err != nil {
		return nil, errors.Join(err, d.dropRedis())
	}
	d.change(ap, func(f *facts) { f.redis = e })
	return e, nil
}

// addRedis brings the place of the embedded Redis.
func (d *Daemon) addRedis(ctx context.Context) (*embedded, error) {
	l, err := supervisor.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("embedded Redis: %w", err)
	}
	e := &embedded{listener: l, set: config.Redis{RedisURL: "redis://" + l.Addr().String(), RedisPassword: rand.Text()}}
	facts := d.facts("")
	facts.Redis = &e.set
	err = d.sup.Add(host.EmbeddedRedis(facts, d.cfg.Settings.Liveness, l))
	if err != nil {
		l.Close()
		return nil, err
	}
	d.do(func(b *book) { b.redis = e })
	return e, nil
}

// awaitRedis waits until the embedded Redis is ready, or has shown that it will not be: it had ended so often before.
func (d *Daemon) awaitRedis(ctx context.Context, ap *application, before int) error {
	var why string
	err := d.sup.Wait(ctx, func(st []supervisor.Status) bool {
		switch r := byName(st)[host.RedisPlace]; {
		case r.State == supervisor.Ready:
			return true
		case r.State == supervisor.Errored:
			why = r.Reason
		case r.Restarts >= before+patience && r.Last != nil:
			why = "keeps ending: " + r.Last.Cause
		}
		return why != ""
	})
	if err != nil || why == "" {
		return err
	}
	text := ap.name + ": the embedded Redis does not run: " + why
	if d.cfg.OwnLog != nil {
		text += ": see " + d.cfg.Home.Log()
	}
	return &Failure{Code: config.ExitFailed, Text: text}
}

// dropRedis takes the embedded Redis away where no app has it.
func (d *Daemon) dropRedis() error {
	had := false
	d.do(func(b *book) {
		for _, ap := range b.apps {
			if ap.facts.in(b).redis != nil {
				return
			}
		}
		had, b.redis = b.redis != nil, nil
	})
	if !had {
		return nil
	}
	return d.sup.Remove(context.Background(), host.RedisPlace)
}
