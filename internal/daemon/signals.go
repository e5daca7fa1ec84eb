package daemon

import (
	"context"
	"os"
	"os/signal"
	"syscall"
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
			d.cfg.Log.Error("reload at SIGUSR2", "error", err)
		}
	}
}
