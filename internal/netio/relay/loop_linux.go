package relay

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio"
)

const (
	readSize = 64 << 10 // what one read takes at most
	tlsSize  = 48 << 10 // the same where the reader's side is TLS, which makes it longer
	reads    = 4        // of a side before others get their turn

	readEvents = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	endEvents  = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// loop copies the bytes of many pairs on one goroutine. Their sockets are in an epoll set, edge
// triggered.
type loop struct {
	stall  int64 // nanoseconds
	waiter *waiter
	pairs  atomic.Int64

	mu    sync.Mutex // guards the rest, and the pairs; never held while something waits
	slots []*Pair
	free  []uint32
	gen   uint32
	limit map[*Pair]struct{} // those that may run out of time
	again []*side            // that may have more to read
	gone  []*Pair            // closed, and not yet told
	ended bool

	buf  []byte  // the goroutine's
	turn []*side // the same: those of again that have their turn
}

func newLoop(stall time.Duration) (*loop, error) {
	w, err := newWaiter()
	if err != nil {
		return nil, err
	}
	return &loop{stall: int64(stall), waiter: w, limit: make(map[*Pair]struct{}), buf: make([]byte, readSize)}, nil
}

// run copies until close.
func (l *loop) run() {
	for {
		events := l.waiter.look()
		for i := range events {
			l.serve(&events[i])
		}
		if l.serveAgain() || len(events) == maxEvents {
			runtime.Gosched() // others get their turn
			continue
		}
		if !l.waiter.wait() {
			break
		}
	}
	l.mu.Lock()
	l.ended = true
	for _, p := range l.slots {
		if p != nil {
			l.end(p)
		}
	}
	unix.Close(l.waiter.set)
	l.unlock()
}

func (l *loop) close() { l.waiter.close() }

// unlock unlocks mu, and then tells the owners of pairs that were closed meanwhile.
func (l *loop) unlock() {
	gone := l.gone
	l.gone = nil
	l.mu.Unlock()
	for _, p := range gone {
		p.ended()
	}
}

// join makes p a pair of the loop. It returns false, and has changed nothing, if the loop can't
// take the connections.
func (l *loop) join(p *Pair, a, b *netio.Stream) bool {
	fds, ok := descriptors(a.Conn, b.Conn)
	if !ok {
		return false
	}
	l.mu.Lock()
	defer l.unlock()
	l.place(p)
	for i, s := range []*netio.Stream{a, b} {
		tc, _ := s.Conn.(*tls.Conn)
		p.sides[i] = side{pair: p, fd: int32(fds[i]), tls: tc}
	}
	if l.ended || !l.begin(p) {
		for _, fd := range fds { // closing it doesn't remove it: it has a duplicate
			_ = unix.EpollCtl(l.waiter.set, unix.EPOLL_CTL_DEL, fd, nil)
		}
		l.leave(p)
		return false
	}
	p.loop.Store(l)
	for i, s := range []*netio.Stream{a, b} {
		below := s.Conn
		if tc := p.sides[i].tls; tc != nil {
			below = tc.NetConn()
			below.(*Under).side = &p.sides[i]
		}
		below.Close() // the socket lives on
	}
	if p.cut.Load() || p.sides[1].write(a.Bytes()) != nil || p.sides[0].write(b.Bytes()) != nil {
		l.end(p)
	}
	a.Drop()
	b.Drop()
	return true
}

// begin adds both sides to the loop's set. TLS may have read more than it gave away: an event of
// which there is one at once, that of room to write, makes the loop look.
func (l *loop) begin(p *Pair) bool {
	for i := range p.sides {
		s := &p.sides[i]
		s.full, s.more = s.tls != nil, s.tls != nil
		if l.control(s, unix.EPOLL_CTL_ADD) != nil {
			return false
		}
	}
	return true
}

// place finds a slot for p, by which its events find it.
func (l *loop) place(p *Pair) {
	l.gen++
	p.gen = l.gen
	l.pairs.Add(1)
	if n := len(l.free); n > 0 {
		p.slot, l.free = l.free[n-1], l.free[:n-1]
		l.slots[p.slot] = p
		return
	}
	p.slot = uint32(len(l.slots))
	l.slots = append(l.slots, p)
}

// descriptors duplicates the descriptors of both connections, which leaves Go's poller alone with
// the old ones.
func descriptors(conns ...net.Conn) (fds [2]int, ok bool) {
	for i, c := range conns {
		fd, ok := duplicate(c)
		if !ok {
			for _, fd := range fds[:i] {
				unix.Close(fd)
			}
			return fds, false
		}
		fds[i] = fd
	}
	return fds, true
}

func duplicate(conn net.Conn) (fd int, ok bool) {
	if tc, ok := conn.(*tls.Conn); ok {
		under, ok := tc.NetConn().(*Under)
		if !ok {
			return -1, false
		}
		conn = under.Conn
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return -1, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, false
	}
	cerr := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if cerr != nil || err != nil {
		return -1, false
	}
	if unix.SetNonblock(fd, true) != nil { // a socket that blocks would stop all
		unix.Close(fd)
		return -1, false
	}
	return fd, true
}

// control tells the kernel which events the side waits for.
func (l *loop) control(s *side, op int) error {
	p, events := s.pair, uint32(readEvents&0xffffffff)
	if s.full {
		events |= unix.EPOLLOUT
	}
	id := int32(p.slot << 1)
	if s == &p.sides[1] {
		id |= 1
	}
	return unix.EpollCtl(l.waiter.set, op, int(s.fd), &unix.EpollEvent{Events: events, Fd: id, Pad: int32(p.gen)})
}

// serve handles an event.
func (l *loop) serve(e *unix.EpollEvent) {
	l.mu.Lock()
	if p := l.slots[uint32(e.Fd)>>1]; p != nil && p.gen == uint32(e.Pad) {
		l.handle(&p.sides[e.Fd&1], e.Events)
	}
	l.unlock()
}

// serveAgain gives the sides that had more to read their turn. It reports whether there were some.
func (l *loop) serveAgain() bool {
	l.mu.Lock()
	l.turn, l.again = l.again, l.turn[:0]
	l.mu.Unlock()
	for i, s := range l.turn {
		l.turn[i] = nil
		l.mu.Lock()
		s.turn = false
		l.carry(s)
		l.unlock()
	}
	return len(l.turn) > 0
}

func (l *loop) handle(s *side, events uint32) {
	p := s.pair
	if p.cut.Load() {
		l.end(p)
		return
	}
	if events&unix.EPOLLOUT != 0 && s.full {
		l.flush(s)
	}
	if events&(unix.EPOLLIN|endEvents) != 0 {
		s.more, s.dry = true, false
		s.ends = s.ends || events&endEvents != 0
	}
	l.carry(s)
	if events&unix.EPOLLERR != 0 {
		l.end(p) // nothing goes either way any more
	}
}

// carry copies what s has to the other side, as far as that takes it.
func (l *loop) carry(s *side) {
	p, to, buf := s.pair, s.other(), l.buf
	if to.tls != nil {
		buf = buf[:tlsSize]
	}
	for n := 0; s.more && !to.full && !s.over && !p.closed; n++ {
		if n == reads {
			if !s.turn {
				s.turn = true
				l.again = append(l.again, s)
			}
			return
		}
		n, err := s.read(buf)
		if n > 0 && to.write(buf[:n]) != nil {
			l.end(p)
			return
		}
		switch {
		case err == io.EOF:
			l.over(s)
		case err == errNothing:
			s.more = false
		case err != nil:
			l.end(p)
		case s.tls == nil && n < len(buf) && !s.ends:
			s.more = false // the rest, if any, makes another edge
		}
	}
}

// over passes the end of s on.
func (l *loop) over(s *side) {
	p, to := s.pair, s.other()
	s.over = true
	var err error
	if to.tls != nil {
		err = to.tls.CloseWrite()
	} else {
		err = unix.Shutdown(int(to.fd), unix.SHUT_WR)
	}
	if err != nil {
		l.end(p)
		return
	}
	if !l.done(p) && p.half == 0 {
		p.half = time.Now().Add(halfOpen).UnixNano()
		l.limit[p] = struct{}{}
	}
}

// done closes the pair if both directions have ended.
func (l *loop) done(p *Pair) bool {
	if a, b := &p.sides[0], &p.sides[1]; !p.closed && a.over && b.over && a.out == nil && b.out == nil {
		l.end(p)
	}
	return p.closed
}

// end closes both connections.
func (l *loop) end(p *Pair) {
	if p.closed {
		return
	}
	p.closed = true
	l.leave(p)
	delete(l.limit, p)
	l.gone = append(l.gone, p)
}

// leave closes the pair's descriptors and gives its slot back.
func (l *loop) leave(p *Pair) {
	for i := range p.sides {
		s := &p.sides[i]
		unix.Close(int(s.fd))
		s.fd = -1
		if s.out != nil {
			bufpool.Put(s.out)
			s.out = nil
		}
	}
	l.slots[p.slot] = nil
	l.free = append(l.free, p.slot)
	l.pairs.Add(-1)
}

// cut makes the loop end the pair: the shutdown is an event.
func (l *loop) cut(p *Pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.closed {
		return
	}
	for i := range p.sides {
		_ = unix.Shutdown(int(p.sides[i].fd), unix.SHUT_RDWR) // of one that is broken there was an event
	}
}

// expire ends the pairs whose time is over.
func (l *loop) expire(now int64) {
	l.mu.Lock()
	for p := range l.limit {
		limited := p.half != 0
		over := limited && now >= p.half
		for i := range p.sides {
			if s := &p.sides[i]; s.out != nil {
				limited = true
				over = over || now-s.slow >= l.stall
			}
		}
		switch {
		case over:
			l.end(p)
		case !limited:
			delete(l.limit, p)
		}
	}
	l.unlock()
}

// read reads into b. It returns errNothing if there is nothing to read.
func (s *side) read(b []byte) (int, error) {
	if s.tls != nil {
		return s.tls.Read(b)
	}
	n, err := netio.Read(int(s.fd), b)
	if err == syscall.EAGAIN {
		err = errNothing
	}
	return n, err
}

// readNow is what TLS reads.
func (s *side) readNow(b []byte) (int, error) {
	if s.dry {
		return 0, errNothing
	}
	n, err := netio.Read(int(s.fd), b)
	if err == syscall.EAGAIN {
		s.dry = true
		return 0, errNothing
	}
	s.dry = n < len(b) && !s.ends
	return n, err
}

// write writes all of b, or queues it.
func (s *side) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if s.tls != nil {
		_, err := s.tls.Write(b)
		return err
	}
	return s.send(b)
}

// send writes what the kernel takes and queues the rest.
func (s *side) send(b []byte) error {
	if s.fd < 0 {
		return net.ErrClosed
	}
	if s.out == nil {
		n, err := netio.Write(int(s.fd), b)
		if err != nil || n == len(b) {
			return err
		}
		b = b[n:]
		s.pair.loop.Load().limit[s.pair] = struct{}{}
		s.slow = time.Now().UnixNano()
	}
	s.out = append(bufpool.Grow(s.out, len(b)), b...)
	if !s.full {
		s.full = true
		_ = s.pair.loop.Load().control(s, unix.EPOLL_CTL_MOD) // can't fail: the descriptor is in the set
	}
	return nil
}

// flush writes what waits for room, and then goes on with the other side.
func (l *loop) flush(s *side) {
	if s.out != nil {
		n, err := netio.Write(int(s.fd), s.out[s.sent:])
		if err != nil {
			l.end(s.pair)
			return
		}
		if n > 0 {
			s.sent += n
			s.slow = time.Now().UnixNano()
		}
		if s.sent < len(s.out) {
			return
		}
		bufpool.Put(s.out)
		s.out, s.sent = nil, 0
	}
	s.full = false
	_ = l.control(s, unix.EPOLL_CTL_MOD)
	if !l.done(s.pair) {
		l.carry(s.other())
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
