//go:build unix && !linux

package supervisor

import (
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Usage returns a process's resident memory in bytes, and its processor time since its start, in
// user and kernel mode. Both are zero if the process has ended.
func Usage(pid int) (memory int64, cpu time.Duration) {
	out, err := exec.Command("ps", "-o", "rss=,time=", "-p", strconv.Itoa(pid)).Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) != 2 {
		return 0, 0
	}
	kilobytes, _ := strconv.ParseInt(fields[0], 10, 64)
	return kilobytes << 10, clock(fields[1])
}

// clock reads ps' [hours:]minutes:seconds[.hundredths].
func clock(text string) (d time.Duration) {
	for _, part := range strings.Split(text, ":") {
		seconds, _ := strconv.ParseFloat(part, 64)
		d = d*60 + time.Duration(seconds*float64(time.Second))
	}
	return d
}
