package lifeline

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// OnSignals calls stop at the first SIGTERM or SIGINT, and again at every further one. It listens until ctx ends.
func OnSignals(ctx context.Context, stop, again func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		defer signal.Stop(signals)
		for first := true; ; first = false {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
			if first {
				stop()
			} else {
				again()
			}
		}
	}()
}
