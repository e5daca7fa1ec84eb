package router

import (
	"context"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// watcher notices clients that leave while their poll is parked. Nobody reads such a connection, and a goroutine that did
// would cost more than the poll. So each connection that polls is added once to an epoll set of the router's own, edge
// triggered and only for the peer's end: nothing happens per request, and one goroutine waits for all.
type watcher struct {
	ep   int      // the epoll set
	file *os.File // the same, polled by the runtime
	raw  syscall.RawConn

	mu    sync.Mutex // guards the rest
	conns map[uint64]*conn
	last  uint64
}

func newWatcher() (*watcher, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(ep, true); err != nil { // so that the runtime polls it instead of blocking a thread
		unix.Close(ep)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &watcher{ep: ep, file: os.NewFile(uintptr(ep), "epoll"), conns: make(map[uint64]*conn)}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	return w, nil
}

// run tells connections that their client left, until ctx ends.
func (w *watcher) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { w.file.Close() })
	defer stop()
	events := make([]unix.EpollEvent, 128)
	for {
		n := 0
		err := w.raw.Read(func(fd uintptr) bool {
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
		for _, e := range events[:n] {
			w.mu.Lock()
			c := w.conns[uint64(uint32(e.Fd))|uint64(uint32(e.Pad))<<32]
			w.mu.Unlock()
			if c != nil {
				c.clientLeft(e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0)
			}
		}
	}
}

// add begins to watch c. It fails only for lack of memory; the poll then ends with its worker's next packet.
func (w *watcher) add(c *conn) {
	w.mu.Lock()
	w.last++
	c.watched = w.last
	w.conns[c.watched] = c
	w.mu.Unlock()
	c.fd.Control(func(fd uintptr) {
		unix.EpollCtl(w.ep, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{
			Events: unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(c.watched), Pad: int32(c.watched >> 32),
		})
	})
}

// remove ends that. Closing the descriptor would too, but not for one that lives on in a worker.
func (w *watcher) remove(c *conn) {
	w.mu.Lock()
	delete(w.conns, c.watched)
	w.mu.Unlock()
	c.watched = 0
	c.fd.Control(func(fd uintptr) {
		unix.EpollCtl(w.ep, unix.EPOLL_CTL_DEL, int(fd), nil)
	})
}
