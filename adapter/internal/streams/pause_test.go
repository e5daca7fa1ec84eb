package streams

import (
	"testing"
	"time"
)

// TestReadersPauseAmongMany: the readers of a large cluster together read at most 25,000 times a
// second, and no entry waits longer than longestPause. Those of a small one don't pause.
func TestReadersPauseAmongMany(t *testing.T) {
	for servers, want := range map[int]time.Duration{
		1: 0, 24: 0, 25: time.Millisecond, 100: 4 * time.Millisecond, 1000: 40 * time.Millisecond, 10_000: longestPause,
	} {
		if got := pauseAmong(servers); got != want {
			t.Errorf("%d servers: %v, want %v", servers, got, want)
		}
	}
}
