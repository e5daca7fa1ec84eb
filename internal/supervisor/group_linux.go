package supervisor

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes puts a child into a group of its own, and has the kernel kill it when we end.
func attributes(user *User) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: user.credential()}
}

// keepDescriptors keeps children from inheriting what this process itself inherited, from a shell
// with open files.
func keepDescriptors() {
	const all = 1<<32 - 1
	if unix.CloseRange(firstFD, all, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	entries, err := os.ReadDir("/proc/self/fd") // before Linux 5.11
	if err != nil {
		return
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= firstFD {
			syscall.CloseOnExec(fd)
		}
	}
}

// reap waits for the child's end and ends what the child left behind in its group. It does that
// before it reaps the child: the kernel keeps the number of an ended process until then, and may
// give it to another process afterwards.
func (g *group) reap() error {
	g.awaitEnd()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.killRestLocked()
	g.reaped = true
	return g.cmd.Wait()
}

// awaitEnd returns when the child has ended, and doesn't reap it. It waits in the runtime's poller
// if the kernel supports that: with 32 children the supervisor then has 8 threads in place of 44.
func (g *group) awaitEnd() {
	if g.polledEnd() {
		return
	}
	for errors.Is(unix.Waitid(unix.P_PID, g.pid(), nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}

// polledEnd waits for the child's end by a descriptor of it, and reports whether that worked (Linux
// 5.10).
func (g *group) polledEnd() bool {
	fd, err := unix.PidfdOpen(g.pid(), unix.PIDFD_NONBLOCK)
	if err != nil {
		return false
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	ended := false
	err = conn.Read(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(ready, 0)
		ended = n == 1 && err == nil
		return ended
	})
	return ended && err == nil
}
