package supervisor

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// attributes puts a child into a group of its own, and has the kernel end it with us.
func attributes(user *User) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: user.credential()}
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
