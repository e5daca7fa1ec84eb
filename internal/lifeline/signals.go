package lifeline

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

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
// then. Elsewhere it asks to read certificates again, and ends nothing. Under npm, signals within
// repeatTime of each other are one.
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
		repeats := repeats{possible: underNPM()}
		for first := true; ; {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
			switch {
			case repeats.isOne(time.Now()):
			case first:
				stop()
				first = false
			default:
				again()
			}
		}
	}()
}

// repeatTime is how long after a signal another one is its repetition under npm. A terminal sends
// Ctrl-C to npm and to us, npm passes it on, and so does the launcher of the npm package.
const repeatTime = time.Second

// underNPM reports whether a script of npm, pnpm or Yarn runs this program, or the launcher.
func underNPM() bool {
	return os.Getenv("npm_lifecycle_event") != "" || os.Getenv("NPM_LAUNCHER_PID") != ""
}

// repeats tells signals from their repetitions.
type repeats struct {
	possible bool
	last     time.Time // of a signal that counted
}

// isOne reports whether the signal that comes now repeats the last one.
func (r *repeats) isOne(now time.Time) bool {
	if r.possible && now.Sub(r.last) < repeatTime {
		return true
	}
	r.last = now
	return false
}
