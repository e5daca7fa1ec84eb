package worker

import (
	"os"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
)

const (
	lookEvery = 5 * time.Millisecond // at what offers no event
	patience  = 20 * time.Second     // how long a broken test takes to fail
)

// shortDir is a folder whose path leaves room for unix sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "w")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// await looks until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); {
		if now := <-tick.C; now.After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// awaitRecord waits for a record, which is written after the worker says that it is ready.
func awaitRecord(t *testing.T, m interface{ Get(string) (string, error) }, id string, cond func(*directory.Worker) bool) {
	t.Helper()
	await(t, "the record of "+id, func() bool { return cond(record(t, m, id)) })
}
