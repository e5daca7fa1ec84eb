package lifeline

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSecondSignalIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan string)
	t.Setenv("npm_lifecycle_event", "") // somebody may test with `npm test`
	t.Setenv("NPM_LAUNCHER_PID", "")
	OnSignals(ctx, func() { told <- "stop" }, func() { told <- "again" })
	syscall.Kill(syscall.Getpid(), syscall.SIGHUP) // no terminal here: it ends nothing and counts for nothing
	for _, want := range []string{"stop", "again", "again"} {
		syscall.Kill(syscall.Getpid(), syscall.SIGTERM)
		if got := <-told; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestRepeatedSignalCountsOnce: below npm, a Ctrl-C arrives up to three times.
func TestRepeatedSignalCountsOnce(t *testing.T) {
	begin := time.Now()
	for _, c := range []struct {
		npm  bool
		want string // which of the signals below repeat another one
	}{{true, "0 1 1 0 1 0"}, {false, "0 0 0 0 0 0"}} {
		r := repeats{possible: c.npm}
		var got []string
		for _, after := range []time.Duration{0, 3 * time.Millisecond, 999 * time.Millisecond, time.Second, 1999 * time.Millisecond, 3 * time.Second} {
			if r.isOne(begin.Add(after)) {
				got = append(got, "1")
			} else {
				got = append(got, "0")
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("npm %v: %s, want %s", c.npm, text, c.want)
		}
	}
	for name, value := range map[string]string{"npm_lifecycle_event": "npx", "NPM_LAUNCHER_PID": "17", "PATH": os.Getenv("PATH")} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("npm_lifecycle_event", "")
			t.Setenv("NPM_LAUNCHER_PID", "")
			t.Setenv(name, value)
			if got := underNPM(); got != (name != "PATH") {
				t.Errorf("under npm: %v", got)
			}
		})
	}
}
