package supervisor

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adopted tells when a process has ended that may be nobody's: nil, and so never, where the kernel gives orphans to another.
// Process 1 of a container gets them; whoever does not wait for them keeps them as zombies until the table of processes is
// full.
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

// reapStrays waits for orphans that have ended. The kernel shows one process that ended at a time: at one of ours it stops,
// which is reaped by its own goroutine, and whose end calls it again.
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
		s.cfg.Log.Debug().Int("pid", pid).Msg("orphan reaped")
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

// endedChild is a child that has ended and was not reaped; 0: there is none.
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
