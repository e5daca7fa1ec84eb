package inspect

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// usage returns the processor time of this process since its start, its resident bytes, and its
// goroutines.
func usage() (cpu time.Duration, memory int64, goroutines int) {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) == nil {
		cpu = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	return cpu, resident(), runtime.NumGoroutine()
}

// resident returns the resident bytes of this process; zero on systems without /proc.
func resident() int64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(raw)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64) // a number of the kernel's
	return pages * int64(os.Getpagesize())
}
