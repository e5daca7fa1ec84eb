//go:build !linux

package netio

import (
	"os"
	"syscall"
)

// SocketPair makes two connected unix stream sockets that no child process inherits by accident.
func SocketPair(nonblocking bool) (a, b int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return -1, -1, os.NewSyscallError("socketpair", err)
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
		if nonblocking && err == nil {
			err = syscall.SetNonblock(fd, true)
		}
	}
	if err != nil {
		syscall.Close(fds[0])
		syscall.Close(fds[1])
		return -1, -1, os.NewSyscallError("fcntl", err)
	}
	return fds[0], fds[1], nil
}
