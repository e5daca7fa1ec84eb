package engineio

import (
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/rawio"
)

const (
	pollBuffer = 64 << 10 // what one read takes at most
	pollReads  = 4        // of full reads before others get their turn
	pollEvents = 256
)

const (
	readEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	endEvents  = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// poller parks sockets in an epoll of our own, so that an idle WebSocket has neither goroutine nor buffer (ADR 0002).
// The epoll's descriptor is itself in Go's poller: one goroutine waits there for all sockets, reads them in turn, and does
// the Work that comes of it.
type poller struct {
	epfd   int
	file   *os.File
	raw    syscall.RawConn
	crew   *crew
	links  fdTable
	gen    atomic.Uint32
	buf    []byte
	some   func(epfd uintptr) bool // looks for events; a method value would be made anew for each wait
	n      int                     // how many it has found
	events [pollEvents]unix.EpollEvent
	again  []*pollLink // may have more to read, each once
	spare  []*pollLink // an empty list to take turns with again
}

func newPoller(hands *hands) (*poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(epfd, true); err != nil { // else os.NewFile keeps it out of Go's poller
		unix.Close(epfd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll"), buf: make([]byte, pollBuffer)}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	// Go watches the epoll by edges: only an empty-handed wait makes sure that the next event is one.
	p.some = func(uintptr) bool {
		p.n = epollWait(p.epfd, p.events[:])
		return p.n > 0
	}
	p.crew = newCrew(hands, p.run)
	return p, nil
}

// run serves events until close, or until another goroutine does: see crew.
func (p *poller) run() {
	for p.crew.work() {
		n := p.wait()
		if n < 0 {
			p.links.each(func(l *pollLink) { l.finish() })
			return
		}
		for i := range n {
			ev := &p.events[i]
			if l := p.links.get(int(ev.Fd)); l != nil && l.gen == uint32(ev.Pad) {
				l.handle(ev.Events)
			}
		}
		if again := p.again; len(again) > 0 {
			p.again = p.spare[:0]
			for _, l := range again {
				events := l.again
				l.again = 0
				l.handle(events)
			}
			clear(again)
			p.spare = again
		}
		if n == len(p.events) || len(p.again) > 0 {
			runtime.Gosched() // goroutines that these reads woke get their turn
		}
	}
}

// wait returns the number of events there are. It waits for one, unless there is more to read; below 0 the poller is
// closed.
func (p *poller) wait() int {
	if len(p.again) > 0 {
		return epollWait(p.epfd, p.events[:])
	}
	if p.raw.Read(p.some) != nil {
		return -1
	}
	return p.n
}

// close ends run, and closes the sockets that are left.
func (p *poller) close() { p.file.Close() }

// detach takes conn's socket out of Go's poller and closes conn; the socket lives on in the link.
func (p *poller) detach(conn net.Conn, raw syscall.RawConn) (*pollLink, error) {
	fd, err := -1, error(nil)
	if e := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if !p.links.has(fd) || unix.SetNonblock(fd, true) != nil { // a socket that blocks would stop all
		unix.Close(fd)
		return nil, unix.EMFILE
	}
	conn.Close()
	return &pollLink{poller: p, fd: fd, gen: p.gen.Add(1)}, nil
}

// pollLink is a socket that the poller reads. Its descriptor is closed by the poller alone, with the session's mu held,
// so that whoever holds mu and finds the webSocket not closed may write to it.
type pollLink struct {
	poller *poller
	w      *webSocket
	gen    uint32 // tells events of this socket from those of an earlier one with the same descriptor

	// poller's goroutine only
	stopped bool   // nothing more is wanted
	again   uint32 // the events of a link in poller.again: an end is told once, and may be behind what is still to be read

	// under the session's mu
	fd      int // -1: closed
	dead    bool
	waiting bool // for room to write
}

func (l *pollLink) start(w *webSocket, read []byte) {
	l.w = w
	if len(read) > 0 && !w.feed(read, nil) {
		w.readStopped()
		l.stopped = true
	}
	w.session.mu.Lock()
	l.poller.links.set(l.fd, l)
	err := l.control(unix.EPOLL_CTL_ADD)
	w.session.mu.Unlock()
	if err != nil {
		w.readEnded(err)
		l.finish()
	}
}

// control tells the kernel what the link waits for. Before start has added the link there is nothing to modify: start
// then asks for all at once.
func (l *pollLink) control(op int) error {
	events := uint32(readEvents)
	if l.waiting {
		events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(l.poller.epfd, op, l.fd, &unix.EpollEvent{Events: events, Fd: int32(l.fd), Pad: int32(l.gen)})
}

// handle reads what there is and writes what waited for room, then closes the descriptor of a link that is done.
func (l *pollLink) handle(events uint32) {
	if events&(unix.EPOLLIN|endEvents) != 0 {
		l.read(events)
	}
	l.w.session.mu.Lock()
	if events&unix.EPOLLOUT != 0 && l.waiting && !l.dead {
		l.waiting = false
		l.w.blocked = false
		l.w.flushLocked()
		if !l.waiting && !l.dead {
			l.control(unix.EPOLL_CTL_MOD)
		}
	}
	done := l.dead
	l.w.session.mu.Unlock()
	if done {
		l.finish()
	}
}

func (l *pollLink) read(events uint32) {
	ends := events&endEvents != 0
	for turn := 0; !l.stopped; turn++ {
		if turn == pollReads {
			if l.again == 0 {
				l.poller.again = append(l.poller.again, l)
			}
			l.again |= events | unix.EPOLLIN
			return
		}
		n, err := rawio.Read(l.fd, l.poller.buf)
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			l.stopped = true
			l.w.readEnded(err)
			return
		}
		if !l.w.feed(l.poller.buf[:n], l.poller.crew) {
			l.stopped = true
			l.w.readStopped()
		}
		if n < len(l.poller.buf) && !ends {
			return // the rest, if any, makes another edge
		}
	}
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.stopped = true
		l.w.readEnded(nil) // nothing goes either way any more
	}
}

func (l *pollLink) write(b []byte) (int, error)    { return rawio.Write(l.fd, b) }
func (l *pollLink) writev(v [][]byte) (int, error) { return rawio.Writev(l.fd, v) }

// arm asks for an event when there is room; the kernel looks at once, so that none is missed.
func (l *pollLink) arm(*webSocket) {
	l.waiting = true
	l.control(unix.EPOLL_CTL_MOD)
}

func (l *pollLink) closeWrite() { unix.Shutdown(l.fd, unix.SHUT_WR) }

// close ends both directions. The event that this makes has the poller close the descriptor.
func (l *pollLink) close() {
	l.dead = true
	if l.fd >= 0 {
		unix.Shutdown(l.fd, unix.SHUT_RDWR)
	}
}

// finish closes the descriptor, on the poller's goroutine or before that has seen it.
func (l *pollLink) finish() {
	l.w.session.mu.Lock()
	defer l.w.session.mu.Unlock()
	l.dead, l.stopped = true, true
	if l.fd >= 0 {
		l.poller.links.set(l.fd, nil)
		unix.Close(l.fd)
		l.fd = -1
	}
}

func epollWait(epfd int, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(epfd),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// fdTable finds links by descriptor: an array in chunks, since descriptors are small and dense.
type fdTable struct {
	chunks [1 << 12]atomic.Pointer[fdChunk] // room for a million descriptors
}

type fdChunk [1 << 8]atomic.Pointer[pollLink]

func (t *fdTable) get(fd int) *pollLink {
	if c := t.chunks[fd>>8].Load(); c != nil {
		return c[fd&0xff].Load()
	}
	return nil
}

func (t *fdTable) set(fd int, l *pollLink) {
	c := &t.chunks[fd>>8]
	if c.Load() == nil {
		c.CompareAndSwap(nil, new(fdChunk))
	}
	c.Load()[fd&0xff].Store(l)
}

func (t *fdTable) each(f func(*pollLink)) {
	for i := range t.chunks {
		if c := t.chunks[i].Load(); c != nil {
			for j := range c {
				if l := c[j].Load(); l != nil {
					f(l)
				}
			}
		}
	}
}

// has reports whether the table has room for fd.
func (t *fdTable) has(fd int) bool { return fd>>8 < len(t.chunks) }
