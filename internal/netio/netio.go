// Package netio holds what connections have in common. It reads and writes sockets by their
// descriptors without blocking (Read, Write), waits for them in Go's poller without holding a
// buffer (Raw, Stream), makes and accepts connections with few system calls (Conn, Accepting), and
// feeds servers with connections that come from elsewhere (Feed). Package handoff, below it, passes
// connections between processes, and package http1 reads the heads and bodies of messages.
//
// On Linux, reads and small writes don't tell the scheduler. A system call on a descriptor that
// doesn't block takes a few microseconds. Telling the scheduler cost more than that in a process
// that is mostly idle, because it wakes the runtime's monitor thread, which then looks around some
// ten thousand times a second: 38 against 25 µs for an echoed WebSocket message (ADR 0002), 28.7
// against 23.9 µs for a forwarded polling request. Longer writes tell the scheduler.
//
// Read, Write, Writev and Silent take a descriptor that doesn't block. The caller keeps it open
// meanwhile, and may call them concurrently, as it may the system calls.
package netio

import (
	"io"
	"syscall"
)

// MaxVec limits the number of buffers of one Writev, which exists on Linux only.
const MaxVec = 64

// Read reads what is there. It returns [syscall.EAGAIN] if there is nothing, and [io.EOF] at the
// end.
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

// Write writes what the kernel takes. If the kernel takes nothing it returns 0 without an error.
func Write(fd int, b []byte) (int, error) {
	n, errno := write(fd, b)
	for errno == syscall.EINTR {
		n, errno = write(fd, b)
	}
	return written(n, errno)
}

// Silent reports that there is nothing to read and that the peer has not ended the connection.
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
