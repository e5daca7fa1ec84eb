package router

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// newEpoll makes an epoll set that the runtime polls, so that waiting for its events blocks no
// thread.
func newEpoll() (ep int, file *os.File, raw syscall.RawConn, err error) {
	if ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return 0, nil, nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(ep, true); err != nil { // else the runtime would not poll it
		unix.Close(ep)
		return 0, nil, nil, os.NewSyscallError("fcntl", err)
	}
	file = os.NewFile(uintptr(ep), "epoll")
	if raw, err = file.SyscallConn(); err != nil {
		file.Close()
		return 0, nil, nil, err
	}
	return ep, file, raw, nil
}

// waitEpoll calls each for every event of a set, until its file is closed.
func waitEpoll(raw syscall.RawConn, each func(*unix.EpollEvent)) {
	events := make([]unix.EpollEvent, 128)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			var err error
			if n, err = unix.EpollWait(int(fd), events, 0); err != nil {
				n = 0
				return err != unix.EINTR // nothing else can fail but by a mistake of ours
			}
			return n > 0
		})
		if err != nil {
			return
		}
		for i := range n {
			each(&events[i])
		}
	}
}

// event asks for what is named; what it tells of is found by id, since descriptors are used again.
func event(what uint32, id uint64) *unix.EpollEvent {
	return &unix.EpollEvent{Events: what, Fd: int32(id), Pad: int32(id >> 32)}
}

func eventID(e *unix.EpollEvent) uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }
