//go:build !linux

package testkit

import "time"

// CPU is the least time that f took in a few runs: there is no clock here for the CPU time of a
// thread.
func CPU(f func()) time.Duration {
	least := time.Duration(1<<63 - 1)
	for range 5 {
		before := time.Now()
		f()
		least = min(least, time.Since(before))
	}
	return max(least, time.Microsecond)
}

var begun = time.Now()

func threadTime() time.Duration { return time.Since(begun) }
