package worker

import (
	"os"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

const patience = 20 * time.Second // how long a broken test takes to fail

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

// awaitRecord waits for a record, which is written after the worker says that it is ready.
func awaitRecord(t *testing.T, m interface{ Get(string) (string, error) }, id string, cond func(*directory.Worker) bool) {
	t.Helper()
	testkit.Until(t, "the record of "+id, func() bool { return cond(record(t, m, id)) })
}
