package daemon

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUID returns the user at the other end, from the kernel.
func peerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || failed != nil {
		return -1, unix.EINVAL
	}
	return int(cred.Uid), nil
}
