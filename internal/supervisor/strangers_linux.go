package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// strangers returns the descendants of a process that have left its group, children before parents.
func strangers(pid int) (out []int) {
	seen := map[int]bool{pid: true}
	var walk func(int)
	walk = func(parent int) {
		for _, child := range children(parent) {
			if seen[child] {
				continue // the kernel gave its number to a new process meanwhile
			}
			seen[child] = true
			walk(child)
			if group, err := syscall.Getpgid(child); err == nil && group != pid {
				out = append(out, child)
			}
		}
	}
	walk(pid)
	return out
}

func children(pid int) (out []int) {
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
				out = append(out, child)
			}
		}
	}
	return out
}
