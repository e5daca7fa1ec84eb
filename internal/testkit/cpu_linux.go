package testkit

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the least CPU time that f took on its thread in a few runs. Other processes don't count,
// as they would in time that has passed. Tests compare two of these, never one with a number of
// milliseconds.
func CPU(f func()) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := time.Duration(1<<63 - 1)
	for range 5 {
		before := threadTime()
		f()
		least = min(least, threadTime()-before)
	}
	return max(least, time.Microsecond)
}

func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // Linux has that clock since 2.6
	}
	return time.Duration(t.Nano())
}
