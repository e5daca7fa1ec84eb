package engineio

import (
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// alarm calls a function again and again. It is a timer of the kernel for which a thread of its own
// waits. While one of Go's timers runs, a thread waits in Go's poller, and each message for a busy
// leader wakes that thread, too. To set one wakes a thread as well.
type alarm struct {
	fd   int
	over atomic.Bool
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	return &alarm{fd: fd}, nil
}

// run calls f each time that the alarm rings, until end.
func (a *alarm) run(f func()) {
	defer unix.Close(a.fd)
	var count [8]byte
	for {
		_, err := unix.Read(a.fd, count[:])
		if a.over.Load() || err != nil && err != unix.EINTR {
			return
		}
		if err == nil {
			f()
		}
	}
}

// set has the alarm ring every d, or never if d is 0. It costs half a microsecond.
func (a *alarm) set(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	spec := unix.ItimerSpec{Interval: t, Value: t}
	_ = unix.TimerfdSettime(a.fd, 0, &spec, nil) // can't fail: the times are valid
}

// end ends run. Nobody may call set afterwards.
func (a *alarm) end() {
	a.over.Store(true)
	a.set(1)
}
