package router

import (
	"context"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// park waits for bytes on ways that are quiet, all of them in one epoll set of the router's own
// with one goroutine. Each is armed for one event at a time: while a way runs, the set says nothing
// of it.
type park struct {
	ep   int
	file *os.File // the same, polled by the runtime
	raw  syscall.RawConn

	mu   sync.Mutex // guards the rest, and every way's id
	ways map[uint64]*way
	last uint64
}

func newPark() (*park, error) {
	ep, file, raw, err := newEpoll()
	if err != nil {
		return nil, err
	}
	return &park{ep: ep, file: file, raw: raw, ways: make(map[uint64]*way)}, nil
}

func (p *park) works() bool { return p != nil }

// run wakes ways to which something came, until ctx ends.
func (p *park) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { p.file.Close() })
	defer stop()
	waitEpoll(p.raw, func(e *unix.EpollEvent) {
		p.mu.Lock()
		w := p.ways[eventID(e)]
		p.mu.Unlock()
		if w != nil {
			w.wake()
		}
	})
}

// arm has w woken once, when there is something to read or an end. It returns false if that failed.
func (p *park) arm(w *way) bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	op := unix.EPOLL_CTL_MOD
	if w.id == 0 {
		p.last++
		w.id = p.last
		p.ways[w.id] = w
		op = unix.EPOLL_CTL_ADD
	}
	var err error
	cerr := w.fd.Control(func(fd uintptr) {
		err = unix.EpollCtl(p.ep, op, int(fd), event(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLONESHOT, w.id))
	})
	if err == nil && cerr == nil {
		return true
	}
	if op == unix.EPOLL_CTL_ADD {
		delete(p.ways, w.id)
		w.id = 0
	}
	return false
}

// remove forgets w, whose descriptor is about to be closed.
func (p *park) remove(w *way) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.id == 0 {
		return
	}
	delete(p.ways, w.id)
	w.id = 0
	w.fd.Control(func(fd uintptr) {
		_ = unix.EpollCtl(p.ep, unix.EPOLL_CTL_DEL, int(fd), nil) // the kernel has forgotten a closed one
	})
}
