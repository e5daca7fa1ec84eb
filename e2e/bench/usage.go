//go:build linux

package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what the processes of a system have used, by the part they play in it: "router",
// "worker", "redis", ...
type usage map[string]time.Duration

// sum is the CPU time of all parts.
func (u usage) sum() (total time.Duration) {
	for _, d := range u {
		total += d
	}
	return total
}

// since is what was used after before was taken.
func (u usage) since(before usage) usage {
	diff := maps.Clone(u)
	for part, d := range before {
		diff[part] -= d
	}
	return diff
}

// cpu reads the CPU time, user and system, of the processes. The clock of a process counts
// nanoseconds of all its threads, those that ended included, where /proc/PID/stat counts ticks of
// 10 ms.
func cpu(pids map[int]string) (usage, error) {
	u := usage{}
	for pid, part := range pids {
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^uint32(pid)<<3|2), &t); err != nil { // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
			return nil, fmt.Errorf("CPU clock of %s, pid %d: %w", part, pid, err)
		}
		u[part] += time.Duration(t.Nano())
	}
	return u, nil
}

// pss reads the proportional set size of the processes, in bytes by part.
func pss(pids map[int]string) (map[string]int64, error) {
	sizes := map[string]int64{}
	for pid, part := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(string(text), "\nPss:")
		kb, _, found := strings.Cut(strings.TrimSpace(rest), " kB")
		n, err := strconv.ParseInt(kb, 10, 64)
		if !found || err != nil {
			return nil, fmt.Errorf("no Pss in smaps_rollup of pid %d", pid)
		}
		sizes[part] += n << 10
	}
	return sizes, nil
}

// tree returns the processes at and below the roots, with their command lines, arguments separated
// by blanks.
func tree(roots []int) (map[int]string, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it ended meanwhile
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // proc_pid_stat(5): state, then the parent
		if len(fields) < 2 || string(fields[0]) == "Z" {
			continue
		}
		if parent, err := strconv.Atoi(string(fields[1])); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	all := map[int]string{}
	for todo := roots; len(todo) > 0; {
		pid := todo[0]
		todo = append(todo[1:len(todo):len(todo)], children[pid]...)
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil || len(line) == 0 {
			return nil, fmt.Errorf("process %d ended", pid)
		}
		all[pid] = string(bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '}))
	}
	return all, nil
}
