package guardian

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/proctree"
)

const supported = true

// name is what the system calls a guardian, so that a kill of the daemon by its name leaves the
// guardian alone.
const name = "guardian"

// adoptOrphans has the kernel make orphans among our descendants our children.
func adoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("guardian: PR_SET_CHILD_SUBREAPER: %w", err)
	}
	return nil
}

func rename() { _ = os.WriteFile("/proc/self/comm", []byte(name), 0) } // only a name

// await reaps children, orphans among them, until the one with this pid has ended, and returns its
// exit code.
func await(pid int) int {
	for {
		var status syscall.WaitStatus
		got, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR) || err == nil && got != pid:
		case err != nil || status.Signaled():
			return exitFailed
		default:
			return status.ExitStatus()
		}
	}
}

// End kills all descendants of this process, those included that it gets as orphans meanwhile.
// It reaps nothing that has another parent, and returns when none of them runs any more, or
// after some seconds.
func End() {
	for deadline := time.Now().Add(endTime); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		left := descendants()
		if len(left) == 0 {
			return
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // one that has ended, or that isn't ours to kill
		}
	}
}

// descendants returns the running processes below this one, parents before children.
func descendants() (pids []int) {
	for queue := []int{os.Getpid()}; len(queue) > 0; queue = queue[1:] {
		for _, child := range proctree.Children(queue[0]) {
			if runs(child) {
				pids = append(pids, child)
			}
			queue = append(queue, child)
		}
	}
	return pids
}

// runs reports whether a process has not ended: one that nobody has reaped yet is still listed.
func runs(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := bytes.TrimSpace(raw[bytes.LastIndexByte(raw, ')')+1:]) // behind the name, which may hold anything
	return len(state) > 0 && state[0] != 'Z' && state[0] != 'X'
}
