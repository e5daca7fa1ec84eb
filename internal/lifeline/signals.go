package lifeline

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
)

// Hangups are the SIGHUPs of this process. If a terminal is at the other end there are none: there
// SIGHUP ends the process.
type Hangups struct{ signals chan os.Signal }

// NotifyHangups begins to collect SIGHUPs.
func NotifyHangups() *Hangups {
	h := &Hangups{signals: make(chan os.Signal, 1)}
	if !isatty.IsTerminal(os.Stdin.Fd()) {
		signal.Notify(h.signals, syscall.SIGHUP)
	}
	return h
}

// Follow calls reload at every SIGHUP until ctx ends, and stops collecting them then.
func (h *Hangups) Follow(ctx context.Context, reload func()) {
	defer signal.Stop(h.signals)
	for {
		select {
		case <-h.signals:
			reload()
		case <-ctx.Done():
			return
		}
	}
}

// OnSignals calls stop at the first SIGTERM or SIGINT, and again at every further one. It listens
// until ctx ends. SIGHUP is one of them where a terminal is at the other end, which was closed
// then. Elsewhere it asks to read certificates again, and ends nothing.
func OnSignals(ctx context.Context, stop, again func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	if isatty.IsTerminal(os.Stdin.Fd()) {
		signal.Notify(signals, syscall.SIGHUP)
	} else {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // not Ignore, which children would inherit
	}
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
