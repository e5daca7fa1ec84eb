package router

import (
	"context"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// watcher notices clients that leave while their poll is parked. Nobody reads such a connection,
// and a goroutine that did would cost more than the poll. So each connection that polls is added
// once to an epoll set of the router's own, edge triggered and only for the peer's end: nothing
// happens per request, and one goroutine waits for all.
type watcher struct {
	ep   int      // the epoll set
	file *os.File // the same, polled by the runtime
	raw  syscall.RawConn

	failed sync.Once // says that connections can't be watched

	mu    sync.Mutex // guards the rest
	conns map[uint64]*conn
	last  uint64
}

func newWatcher() (*watcher, error) {
	ep, file, raw, err := newEpoll()
	if err != nil {
		return nil, err
	}
	return &watcher{ep: ep, file: file, raw: raw, conns: make(map[uint64]*conn)}, nil
}

// run tells connections that their client left, until ctx ends.
func (w *watcher) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { w.file.Close() })
	defer stop()
	waitEpoll(w.raw, func(e *unix.EpollEvent) {
		w.mu.Lock()
		c := w.conns[eventID(e)]
		w.mu.Unlock()
		if c != nil {
			c.wait.clientLeft(e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0)
		}
	})
}

// add begins to watch c. It fails where the system lacks memory, or the user watches too much
// (epoll.max_user_watches): a poll then lasts until its worker's next packet after its client has
// left.
func (w *watcher) add(c *conn) {
	w.mu.Lock()
	w.last++
	c.watched = w.last
	w.conns[c.watched] = c
	w.mu.Unlock()
	c.fd.Control(func(fd uintptr) {
		err := unix.EpollCtl(w.ep, unix.EPOLL_CTL_ADD, int(fd), event(unix.EPOLLRDHUP|unix.EPOLLET&0xffffffff, c.watched))
		if err != nil {
			w.failed.Do(func() {
				c.r.log.Warn("the router can't notice clients that leave while their poll waits; raise the sysctl fs.epoll.max_user_watches", "error", err)
			})
		}
	})
}

// remove ends that. Closing the descriptor would too, but not for one that lives on in a worker.
func (w *watcher) remove(c *conn) {
	w.mu.Lock()
	delete(w.conns, c.watched)
	w.mu.Unlock()
	c.watched = 0
	c.fd.Control(func(fd uintptr) {
		_ = unix.EpollCtl(w.ep, unix.EPOLL_CTL_DEL, int(fd), nil) // an error is that it was never added
	})
}
