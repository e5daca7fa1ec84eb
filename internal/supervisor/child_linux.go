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
	for errors.Is(unix.Waitid(unix.P_PID, p.pid(), nil, unix.WEXITED|unix.WNOWAIT, nil), unix.EINTR) {
	}
	p.group.Lock()
	defer p.group.Unlock()
	p.killGroupLocked()
	p.reaped = true
	return p.cmd.Wait()
}
