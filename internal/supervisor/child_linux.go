package supervisor

import (
	"errors"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes puts a child into a group of its own, and has the kernel end it with us.
func attributes(user *User) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: user.credential()}
}

// keepDescriptors has no child inherit what this process inherited itself, from a shell that had files open.
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

// reap waits for the end of a process and ends what it left behind in its group. That comes first: the kernel keeps the
// number of a process that ended until it is reaped, and may give it to any other afterwards.
func (p *process) reap() error {
	p.awaitEnd()
	p.group.Lock()
	defer p.group.Unlock()
	p.killGroupLocked()
	p.reaped = true
	return p.cmd.Wait()
}

// awaitEnd returns when a process has ended, and does not reap it. It waits in the runtime's poller, where the kernel lets it:
// with 32 children the supervisor had 44 threads otherwise, and has 8 so.
func (p *process) awaitEnd() {
	if p.polledEnd() {
		return
	}
	for errors.Is(unix.Waitid(unix.P_PID, p.pid(), nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
}

// polledEnd waits for the end of a process by a descriptor of it, and reports whether that worked (Linux 5.10).
func (p *process) polledEnd() bool {
	fd, err := unix.PidfdOpen(p.pid(), unix.PIDFD_NONBLOCK)
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
