package supervisor

import (
	"syscall"

	"github.com/sidereal-io/sidereal/internal/proctree"
)

// strangers returns the descendants of a process that have left its group, children before parents.
func strangers(pid int) (out []int) {
	seen := map[int]bool{pid: true}
	var walk func(int)
	walk = func(parent int) {
		for _, child := range proctree.Children(parent) {
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
