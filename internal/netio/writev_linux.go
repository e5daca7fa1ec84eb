package netio

import (
	"syscall"
	"unsafe"
)

// Writev is Write of several buffers, MaxVec at most.
func Writev(fd int, v [][]byte) (int, error) {
	var iov [MaxVec]syscall.Iovec
	for i, b := range v {
		iov[i].Base = unsafe.SliceData(b)
		iov[i].SetLen(len(b))
	}
	for {
		n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov)), uintptr(len(v)))
		if errno != syscall.EINTR {
			return written(int(n), errno)
		}
	}
}
