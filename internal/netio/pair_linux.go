package netio

import (
	"os"

	"golang.org/x/sys/unix"
)

// SocketPair makes two connected unix stream sockets that no child process inherits by accident.
func SocketPair(nonblocking bool) (a, b int, err error) {
	kind := unix.SOCK_STREAM | unix.SOCK_CLOEXEC
	if nonblocking {
		kind |= unix.SOCK_NONBLOCK
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
	if err != nil {
		return -1, -1, os.NewSyscallError("socketpair", err)
	}
	return fds[0], fds[1], nil
}
