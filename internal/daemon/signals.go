package daemon

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/sidereal-io/sidereal/internal/supervisor"
)

// reloadAtSignal reloads everything at SIGUSR2, as recluster's users have it, until ctx ends.
func (d *Daemon) reloadAtSignal(ctx context.Context) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR2)
	defer signal.Stop(signals)
	for {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
		err := d.act(ctx, Action{Verb: Reload, Targets: []string{"all"}}, func(Event) {})
		if err != nil && ctx.Err() == nil {
			d.cfg.Log.Error().Err(err).Msg("reload at SIGUSR2")
		}
	}
}

// hangUp has all routers read their certificates again.
func (d *Daemon) hangUp() {
	st := d.statuses()
	for _, ap := range d.seeAll() {
		for _, name := range ap.services() {
			if name != ap.nodehost() && st[name].State == supervisor.Ready {
				d.sup.Signal(syscall.SIGHUP, name) // one that has ended reads them at its start
			}
		}
	}
}
