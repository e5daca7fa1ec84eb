// Package netio reads and writes sockets by their descriptors, without blocking, and makes connections of descriptors with few
// system calls.
//
// On Linux, reads and small writes are made without telling the scheduler. A system call on a descriptor that does not block
// takes a few microseconds; the telling cost more than that in a process that is mostly idle, since it wakes the runtime's
// monitor thread, which then looks around some ten thousand times a second: 38 against 25 µs for an echoed WebSocket message
// (ADR 0002), 28.7 against 23.9 µs for a forwarded polling request. Longer writes let the scheduler know.
//
// The caller keeps the descriptor open meanwhile, and knows that it does not block. The functions may be called concurrently, as
// the system calls may.
package netio

import (
	"io"
	"syscall"
)

// MaxVec bounds the buffers of one Writev, which is there on Linux only.
const MaxVec = 64

// Read reads what is there: [syscall.EAGAIN] if there is nothing, [io.EOF] at the end.
func Read(fd int, b []byte) (int, error) {
	for {
		n, errno := read(fd, b)
		switch {
		case errno == syscall.EINTR:
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write writes what the kernel takes: nothing, and no error, if that is nothing.
func Write(fd int, b []byte) (int, error) {
	n, errno := write(fd, b)
	for errno == syscall.EINTR {
		n, errno = write(fd, b)
	}
	return written(n, errno)
}

// Silent tells whether there is nothing to read, and no end either.
func Silent(fd int) bool {
	return peek(fd) == syscall.EAGAIN
}

func written(n int, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return n, nil
	case syscall.EAGAIN:
		return 0, nil
	}
	return 0, errno
}
