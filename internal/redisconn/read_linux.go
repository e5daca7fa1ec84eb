//go:build !race

package redisconn

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// reader is how a connection is read: on a plain socket by system calls that the scheduler is not told of. They never block
// and copy chunkBytes at most, or what is left of one long message; the telling woke the runtime's monitor thread at nearly every
// read of a process with little to do. Go's poller still waits.
func reader(conn net.Conn) func([]byte) (int, error) {
	plain, ok := conn.(syscall.Conn)
	if !ok { // TLS
		return conn.Read
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return conn.Read
	}
	var (
		into  []byte
		n     int
		errno syscall.Errno
	)
	try := func(fd uintptr) bool {
		for {
			var got uintptr
			got, _, errno = syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(into))), uintptr(len(into)))
			if errno != syscall.EINTR {
				n = int(got)
				return errno != syscall.EAGAIN
			}
		}
	}
	return func(b []byte) (int, error) {
		into = b[:min(len(b), chunkBytes)]
		err := raw.Read(try)
		into = nil
		switch {
		case err != nil:
			return 0, err
		case errno != 0:
			return 0, &net.OpError{Op: "read", Net: conn.RemoteAddr().Network(), Source: conn.LocalAddr(), Addr: conn.RemoteAddr(), Err: os.NewSyscallError("read", errno)}
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
