package lifeline

import (
	"context"
	"syscall"
	"testing"
)

func TestSecondSignalIsTold(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan string)
	OnSignals(ctx, func() { told <- "stop" }, func() { told <- "again" })
	syscall.Kill(syscall.Getpid(), syscall.SIGHUP) // no terminal here: it ends nothing and counts for nothing
	for _, want := range []string{"stop", "again", "again"} {
		syscall.Kill(syscall.Getpid(), syscall.SIGTERM)
		if got := <-told; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
