//go:build !linux || race

package netio

import "syscall"

// Where the race detector looks on, these calls tell it that a write comes before the read that
// sees it.

func read(fd int, b []byte) (int, syscall.Errno) { return result(syscall.Read(fd, b)) }

func peek(fd int) syscall.Errno {
	n, _, err := syscall.Recvfrom(fd, make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	_, errno := result(n, err)
	return errno
}

func write(fd int, b []byte) (int, syscall.Errno) { return result(syscall.Write(fd, b)) }

func result(n int, err error) (int, syscall.Errno) {
	if err == nil {
		return n, 0
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		errno = syscall.EIO
	}
	return 0, errno
}
