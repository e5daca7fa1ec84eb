package testkit

import "syscall"

// endWithParent lets the kernel end a child when this process dies, whatever it dies of.
func endWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
