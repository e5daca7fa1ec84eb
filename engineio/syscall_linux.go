package engineio

import (
	"syscall"
	"unsafe"
)

// The system calls on sockets, which are non-blocking. Up to rawBytes they are made without telling the scheduler: a
// small read or write of a non-blocking socket takes a few microseconds, and the telling cost more than that in a process
// that is mostly idle (38 against 25 us per echoed message, ADR 0002). Longer copies let the scheduler know.
const rawBytes = 32 << 10

func sysRead(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func sysWrite(fd int, b []byte) (int, syscall.Errno) {
	if len(b) > rawBytes {
		n, _, errno := syscall.Syscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		return int(n), errno
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func sysWritev(fd int, v [][]byte) (int, syscall.Errno) {
	var iov [maxVec]syscall.Iovec
	for i, b := range v {
		iov[i].Base = unsafe.SliceData(b)
		iov[i].SetLen(len(b))
	}
	n, _, errno := syscall.Syscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&iov)), uintptr(len(v)))
	return int(n), errno
}
