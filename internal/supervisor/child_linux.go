package supervisor

import "syscall"

// attributes puts a child into a group of its own, and has the kernel end it with us.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
