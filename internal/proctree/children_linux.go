package proctree

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Children returns the pids of a process's children as they are now, those included that have ended
// and that nobody has reaped. It returns none if the process is gone. A pid may belong to another
// process by the time that the caller uses it.
func Children(pid int) (pids []int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	for _, task := range tasks {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(raw)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
			}
		}
	}
	return pids
}
