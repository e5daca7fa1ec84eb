package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the kernel's unit of processor time in /proc: USER_HZ, 100 on every architecture that Go
// runs on.
const tick = time.Second / 100

// Usage returns a process's resident memory in bytes, and its processor time since its start, in
// user and kernel mode. Both are zero if the process has ended.
func Usage(pid int) (memory int64, cpu time.Duration) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:]) // behind the program's name, which may hold anything
	if len(fields) < 22 {
		return 0, 0
	}
	number := func(field int) int64 {
		n, _ := strconv.ParseInt(string(fields[field-3]), 10, 64)
		return n // fields begins with the third of proc(5)
	}
	return number(24) * int64(os.Getpagesize()), time.Duration(number(14)+number(15)) * tick
}
