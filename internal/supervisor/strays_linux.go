package supervisor

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adopted returns a channel that tells when a process has ended that may be an orphan. It is nil if
// the kernel gives orphans to another process. Process 1 of a container gets them, and must reap
// them, or zombies fill the process table.
func adopted() (ended chan os.Signal, stop func()) {
	if os.Getpid() != 1 && !subreaper() {
		return nil, func() {}
	}
	ended = make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	return ended, func() { signal.Stop(ended) }
}

// subreaper reports whether this process asked for the orphans below it.
func subreaper() bool {
	var set int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&set)), 0, 0, 0)
	return err == nil && set != 0
}

// reapStrays reaps orphans that have ended. The kernel shows one ended process at a time.
// reapStrays stops at one of our own, which its own goroutine reaps; that end calls reapStrays
// again.
func (s *Supervisor) reapStrays() {
	for {
		pid, err := endedChild()
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid == 0 || s.owns(pid) {
			return
		}
		_, _ = unix.Wait4(pid, nil, unix.WNOHANG, nil) // it has ended, and nobody else waits for it
		s.cfg.Log.Debug("orphan reaped", "pid", pid)
	}
}

func (s *Supervisor) owns(pid int) bool {
	for p := range s.running {
		if p.pid() == pid {
			return true
		}
	}
	return false
}

// endedChild returns a child that has ended and isn't reaped yet; 0: there is none.
func endedChild() (pid int, err error) {
	var info struct { // siginfo_t as waitid(2) fills it: a union, aligned as pointers are, follows three numbers
		Signo, Errno, Code int32
		_                  [0]uintptr
		PID                int32
		_                  [128]byte
	}
	err = unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return int(info.PID), err
}
