package engineio

import (
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/eventloop"
	"github.com/sidereal-io/sidereal/internal/netio"
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

// poller parks sockets in an epoll, so that an idle WebSocket has neither a goroutine nor a buffer
// (ADR 0002). The epoll's descriptor is itself in Go's poller. One goroutine waits there for all
// sockets, reads them in turn, and does the work that follows: it leads a scheduler. If it is
// overdue, another goroutine continues the round, and the link that it reads is away. The poller
// notes that link's events for the overdue goroutine, which serves it alone until nothing is left.
type poller struct {
	epfd      int
	file      *os.File
	raw       syscall.RawConn
	scheduler *scheduler
	alarm     *alarm // calls scheduler.check
	links     fdTable
	gen       atomic.Uint32
	some      func(epfd uintptr) bool // looks for events; a method value would be made anew for each wait
	ready     func(epfd uintptr)      // the same, without a wait
	ended     bool                    // nobody polls any more; under scheduler.mu

	// of the leader
	buf     []byte    // borrowed, for what is read; nil: left to a goroutine that was replaced
	reading *pollLink // what it reads; nil: it does something else
	events  [pollEvents]unix.EpollEvent
	n, next int         // how many of the events are of this round, and how many of these were handled
	again   []*pollLink // may have more to read, each once
	turn    []*pollLink // those of them that have their turn in this round
	turned  int         // of turn, so many were handled
}

func newPoller(pool *pool) (*poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(epfd, true); err != nil { // else os.NewFile keeps it out of Go's poller
		unix.Close(epfd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return nil, err
	}
	if p.alarm, err = newAlarm(); err != nil {
		p.file.Close()
		return nil, err
	}
	// Go watches the epoll by edges: only an empty-handed wait makes sure that the next event is
	// one.
	p.some = func(uintptr) bool {
		if p.n = epollWait(p.epfd, p.events[:]); p.n == 0 {
			p.scheduler.rest()
		}
		return p.n > 0
	}
	p.ready = func(uintptr) { p.n = epollWait(p.epfd, p.events[:]) }
	p.scheduler = newScheduler(pool, p.run, p.lost, p.watch)
	return p, nil
}

// watch sets the alarm for an overdue leader, or stops it.
func (p *poller) watch(on bool) {
	if on {
		p.alarm.set(checkEvery)
	} else {
		p.alarm.set(0)
	}
}

// run serves events until close, or until another goroutine leads: see scheduler.
func (p *poller) run() {
	if p.buf == nil {
		p.buf = bufpool.Get(pollBuffer)[:pollBuffer]
	}
	for p.round() && p.scheduler.work() {
		if !p.wait() {
			p.end()
			return
		}
	}
}

// round handles the rest of the events, then the links that had more to read before. It reports
// whether the caller still leads.
func (p *poller) round() (leads bool) {
	for p.next < p.n {
		ev := &p.events[p.next]
		p.next++
		if l := p.links.get(int(ev.Fd)); l != nil && l.gen == uint32(ev.Pad) && !p.serve(l, ev.Events) {
			return false
		}
	}
	for p.turned < len(p.turn) {
		l := p.turn[p.turned]
		p.turn[p.turned] = nil
		p.turned++
		events := l.again
		l.again = 0
		if !p.serve(l, events) {
			return false
		}
	}
	if p.n == len(p.events) || len(p.again) > 0 {
		runtime.Gosched() // goroutines that these reads woke get their turn
	}
	return true
}

// serve handles one link's events in a turn, and reports whether the caller still leads.
func (p *poller) serve(l *pollLink, events uint32) (leads bool) {
	if l.away.Load() && p.note(l, events) {
		return true
	}
	buf, me := p.buf, p.scheduler.leader
	p.reading = l
	turn := p.scheduler.begin(nil)
	again := l.handle(events, buf, me)
	if !p.scheduler.end(turn) {
		p.alone(l, again, buf, me)
		return false
	}
	p.reading = nil
	if again != 0 {
		if l.again == 0 {
			p.again = append(p.again, l)
		}
		l.again |= again
	}
	return true
}

// lost leaves the link that is being read, and the buffer, to the replaced leader.
func (p *poller) lost() {
	if p.reading != nil {
		p.reading.away.Store(true)
		p.reading, p.buf = nil, nil
	}
}

// note leaves events to the goroutine that serves l. It returns false if l isn't away any more.
func (p *poller) note(l *pollLink, events uint32) bool {
	p.scheduler.mu.Lock()
	defer p.scheduler.mu.Unlock()
	if !l.away.Load() {
		return false
	}
	l.noted |= events
	return true
}

// alone serves a link that is away, on the replaced goroutine, until nothing is left.
func (p *poller) alone(l *pollLink, again uint32, buf []byte, me *leader) {
	for events, more := p.back(l, again); more; events, more = p.back(l, again) {
		again = l.handle(events, buf, me)
	}
	bufpool.Put(buf)
}

// back returns the noted events of a link that is away, and those that it has to read again. If
// there are none, the link is the poller's again, or is closed if nobody polls any more.
func (p *poller) back(l *pollLink, again uint32) (events uint32, more bool) {
	p.scheduler.mu.Lock()
	events, l.noted = l.noted|again, 0
	ended := p.ended
	more = events != 0 && !ended
	l.away.Store(more)
	p.scheduler.mu.Unlock()
	if ended {
		l.finish()
	}
	return events, more
}

// wait waits for events, unless there is more to read. It returns false once the poller is closed.
func (p *poller) wait() bool {
	p.next, p.turned = 0, 0
	p.turn, p.again = p.again, p.turn[:0]
	if len(p.turn) > 0 {
		return p.raw.Control(p.ready) == nil
	}
	return p.raw.Read(p.some) == nil
}

// end closes the remaining sockets. The goroutines that serve links which are away close those.
func (p *poller) end() {
	p.scheduler.mu.Lock()
	p.ended = true
	p.scheduler.mu.Unlock()
	p.links.each(func(l *pollLink) {
		if !l.away.Load() {
			l.finish()
		}
	})
	bufpool.Put(p.buf)
	p.alarm.end()
}

// close ends run, which closes the remaining sockets.
func (p *poller) close() { p.file.Close() }

// detach takes conn's socket out of Go's poller and closes conn. The socket lives on in the link.
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

// pollLink is a socket that the poller reads. Only the goroutine that serves it closes its
// descriptor, with the session's mu held. So a goroutine that holds mu may write to it while the
// webSocket isn't closed.
type pollLink struct {
	poller *poller
	w      *webSocket
	gen    uint32 // tells events of this socket from those of an earlier one with the same descriptor

	// for who serves it: the poller's leader or, while it is away, the goroutine that was that
	stopped bool // nothing more is wanted

	again uint32      // the leader's: the events of a link in poller.again: an end is told once, and may be behind what is still to be read
	away  atomic.Bool // under poller.scheduler.mu, as noted is
	noted uint32      // the events that came while it was away

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

// control tells the kernel which events the link waits for. Before start has added the link there
// is nothing to modify: start then asks for all at once.
func (l *pollLink) control(op int) error {
	events := uint32(readEvents)
	if l.waiting {
		events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(l.poller.epfd, op, l.fd, &unix.EpollEvent{Events: events, Fd: int32(l.fd), Pad: int32(l.gen)})
}

// handle reads, writes what waited for room, and closes the descriptor of a link that is done. It
// returns the events for which it has to be called again after other links.
func (l *pollLink) handle(events uint32, buf []byte, by *leader) (again uint32) {
	if events&(unix.EPOLLIN|endEvents) != 0 {
		again = l.read(events, buf, by)
	}
	l.w.session.mu.Lock()
	if events&unix.EPOLLOUT != 0 && l.waiting && !l.dead {
		l.waiting = false
		l.w.blocked = false
		l.w.flushLocked()
		if !l.waiting && !l.dead {
			l.modify()
		}
	}
	done := l.dead
	l.w.session.mu.Unlock()
	if done {
		l.finish()
	}
	return again
}

func (l *pollLink) read(events uint32, buf []byte, by *leader) (again uint32) {
	ends := events&endEvents != 0
	for turn := 0; !l.stopped; turn++ {
		if turn == pollReads {
			return events | unix.EPOLLIN
		}
		n, err := netio.Read(l.fd, buf)
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			l.stopped = true
			l.w.readEnded(err)
			return 0
		}
		if !l.w.feed(buf[:n], by) {
			l.stopped = true
			l.w.readStopped()
		}
		if n < len(buf) && !ends {
			return 0 // the rest, if any, makes another edge
		}
	}
	if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.stopped = true
		l.w.readEnded(nil) // nothing goes either way any more
	}
	return 0
}

func (l *pollLink) measure(e *eventloop.Ending) { measure(l.fd, e) }

func (l *pollLink) write(b []byte) (int, error)    { return netio.Write(l.fd, b) }
func (l *pollLink) writev(v [][]byte) (int, error) { return netio.Writev(l.fd, v) }

// arm asks for an event when there is room. The kernel checks at once, so that none is missed.
func (l *pollLink) arm(*webSocket) {
	l.waiting = true
	l.modify()
}

// modify tells the kernel about a change of waiting. It can't fail: the descriptor is registered
// until the link is done, and a change of its events allocates nothing.
func (l *pollLink) modify() { _ = l.control(unix.EPOLL_CTL_MOD) }

func (l *pollLink) closeWrite() { unix.Shutdown(l.fd, unix.SHUT_WR) }

// close ends both directions. The event of that makes the poller close the descriptor.
func (l *pollLink) close() {
	l.dead = true
	if l.fd >= 0 {
		unix.Shutdown(l.fd, unix.SHUT_RDWR)
	}
}

// finish closes the descriptor. The goroutine that serves the link calls it, or any before the
// poller knows the link.
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
