package supervisor

import (
	"bytes"
	"fmt"
	"os"
)

// Frozen reports whether no thread of a process wants a processor or waits for a disk, and no
// debugger holds it. Such a process is stopped, or stuck, if it should have run. A process that
// merely gets no processor has a thread that is ready to run.
func Frozen(pid int) bool {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	threads, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, t := range threads {
		raw, err := os.ReadFile(dir + "/" + t.Name() + "/stat")
		if err != nil {
			return false // it has just ended: the process runs
		}
		state := bytes.TrimLeft(raw[bytes.LastIndexByte(raw, ')')+1:], " ")
		if len(state) == 0 || state[0] != 'T' && state[0] != 'S' {
			return false
		}
	}
	return len(threads) > 0
}
