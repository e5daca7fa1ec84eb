//go:build counted

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/coverage"
	"time"
)

// countEvery is the time between two writes of the counters in a build of `make cover`. Go writes
// them only at a regular exit, and the end-to-end tests kill many processes.
const countEvery = 500 * time.Millisecond

func init() {
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		go keepCounting(dir)
	}
}

// keepCounting writes this process's counters to the folder until the process ends.
func keepCounting(dir string) {
	mine := filepath.Join(dir, fmt.Sprintf("covcounters.*.%d.*", os.Getpid()))
	for range time.Tick(countEvery) {
		old, err := filepath.Glob(mine)
		if err == nil {
			err = coverage.WriteCountersDir(dir)
		}
		if err != nil {
			continue // the next one may succeed; the folder goes when the tests are over
		}
		for _, file := range old {
			_ = os.Remove(file)
		}
	}
}
