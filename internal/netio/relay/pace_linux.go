package relay

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/netio"
)

const (
	// interval is the time between two looks of a paced loop.
	interval = 400 * time.Microsecond
	// worthwhile is how many sockets a look has to find for the pace to be worth its delay.
	worthwhile = 3
	// poorLooks in a row end the pace; it isn't tried again for a moment.
	poorLooks  = 4
	tryAgainIn = 50 * time.Millisecond
	// quickWakes in a row begin it: each came less than the interval after the one before.
	quickWakes = 8
)

// waiter waits for the events of an epoll set. If they come often, it looks at a pace instead.
//
// Go's poller wakes a thread for each event of a set that it watches. So it watches outer, in which
// the set is armed for one event at a time, and a timer.
type waiter struct {
	set   int
	outer pollable
	timer pollable
	arm   func(fd uintptr) // has outer tell of the next event of the set

	n      int // events that the last look found
	events [maxEvents]unix.EpollEvent

	paced bool
	poor  int
	quick int
	last  time.Time // when events came last
	retry time.Time // no pace before
}

// pollable is a descriptor that Go's poller watches.
type pollable struct {
	file *os.File
	raw  syscall.RawConn
	was  func(fd uintptr) bool // reports whether its event came
}

const maxEvents = 256

func newWaiter() (*waiter, error) {
	w := new(waiter)
	var err error
	if w.set, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	outer, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		unix.Close(w.set)
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	w.outer.open(outer, func(uintptr) bool {
		var one [1]unix.EpollEvent
		return epollWait(outer, one[:]) > 0
	})
	w.arm = func(fd uintptr) {
		_ = unix.EpollCtl(int(fd), unix.EPOLL_CTL_MOD, w.set, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT})
	}
	timer, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err == nil {
		w.timer.open(timer, func(uintptr) bool {
			var ticks [8]byte
			n, _ := netio.Read(timer, ticks[:])
			return n > 0
		})
		err = unix.EpollCtl(outer, unix.EPOLL_CTL_ADD, w.set, &unix.EpollEvent{Events: unix.EPOLLONESHOT})
	}
	if err != nil {
		w.close()
		unix.Close(w.set)
		return nil, os.NewSyscallError("epoll", err)
	}
	return w, nil
}

func (p *pollable) open(fd int, was func(uintptr) bool) {
	_ = unix.SetNonblock(fd, true) // else Go's poller wouldn't watch it
	p.was = was
	p.file = os.NewFile(uintptr(fd), "relay")
	p.raw, _ = p.file.SyscallConn() // fails for nil only
}

// wait waits until it's time for the next look. It returns false once the waiter is closed.
func (w *waiter) wait() bool {
	w.adapt(time.Now())
	if w.paced {
		return w.timer.raw.Read(w.timer.was) == nil
	}
	return w.outer.raw.Control(w.arm) == nil && w.outer.raw.Read(w.outer.was) == nil
}

// adapt begins or ends the pace by what the last look found.
func (w *waiter) adapt(now time.Time) {
	switch {
	case w.paced && w.n >= worthwhile:
		w.poor = 0
	case w.paced:
		if w.poor++; w.poor == poorLooks {
			w.pace(0)
			w.retry = now.Add(tryAgainIn)
		}
	case w.n > 0:
		if now.Sub(w.last) > interval {
			w.quick = 0
		}
		w.last = now
		if w.quick++; w.quick >= quickWakes && now.After(w.retry) {
			w.pace(interval)
		}
	}
}

// pace makes the timer tick, or stops it.
func (w *waiter) pace(every time.Duration) {
	w.paced, w.poor, w.quick = every > 0, 0, 0
	tick := unix.NsecToTimespec(int64(every))
	_ = w.timer.raw.Control(func(fd uintptr) { // fails once the waiter is closed
		_ = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Interval: tick, Value: tick}, nil)
	})
}

// look finds the events that have come. It doesn't wait.
func (w *waiter) look() []unix.EpollEvent {
	w.n = epollWait(w.set, w.events[:])
	return w.events[:w.n]
}

// close ends wait. It may be called on any goroutine.
func (w *waiter) close() {
	for _, p := range []*pollable{&w.outer, &w.timer} {
		if p.file != nil {
			p.file.Close()
		}
	}
}
