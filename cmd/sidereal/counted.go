//go:build counted

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/coverage"
	"time"
)

// countEvery is how often a process of a build for `make cover` writes what it has run. Go writes
// that by itself only when a process ends in peace, and the end-to-end tests kill many.
const countEvery = 500 * time.Millisecond

func init() {
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		go keepCounting(dir)
	}
}

// keepCounting replaces this process's counters in the folder again and again, for as long as it
// lives.
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
