//go:build linux

package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// raiseFileLimit asks for as many descriptors as the items need, for this process and those it
// starts.
func raiseFileLimit(idle int, todo []item) error {
	need := uint64(8192)
	for _, it := range todo {
		if it.name == idleItem {
			need = max(need, uint64(idle)+4096)
		}
	}
	return raiseFiles(need)
}

// raiseFiles raises the limit of open files to that number, if it is lower.
func raiseFiles(need uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur, limit.Max = max(need, limit.Max), max(need, limit.Max)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%d open files are needed: %w (raise ulimit -n, or ask for fewer connections)", need, err)
	}
	return nil
}
