package engineio

import (
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/eventloop"
	"github.com/sidereal-io/sidereal/internal/netio"
)

// readBuffer is the size of the buffer that is borrowed while a socket is read.
const readBuffer = 16 << 10

// pollers holds the poller in which a server on Linux parks its sockets.
type pollers struct {
	once sync.Once
	one  *poller // nil: not begun, or not to be had
}

// poller returns the server's poller, and starts it for the first socket. It returns nil if Run
// doesn't run, since nobody would wait for the poller's end.
func (s *Server) poller() *poller {
	if !s.running.Load() {
		return nil
	}
	s.pollers.once.Do(func() {
		p, err := newPoller(&s.pool)
		if err != nil {
			s.cfg.Log.Warn("no epoll: each WebSocket takes a goroutine", "error", err)
			return
		}
		s.pollers.one = p
		s.tasks.Go(p.run)
		s.tasks.Go(func() { p.alarm.run(p.scheduler.check) })
	})
	return s.pollers.one
}

// stopPolling ends the poller. No socket may be added afterwards.
func (s *Server) stopPolling() {
	s.pollers.once.Do(func() {})
	if p := s.pollers.one; p != nil {
		p.close()
	}
}

// newLink returns the link for conn. If conn has SyscallConn, the poller reads and writes its
// descriptor, past its Read and Write. Other connections, above all TLS, are streams.
func (s *Server) newLink(conn net.Conn) link {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return s.newStreamLink(conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return s.newStreamLink(conn)
	}
	if p := s.poller(); p != nil {
		if l, err := p.detach(conn, raw); err == nil {
			return l
		}
	}
	l := &socketLink{server: s, conn: conn}
	if !l.raw.Open(conn) || raw.Control(func(fd uintptr) { l.fd = int(fd) }) != nil {
		return s.newStreamLink(conn)
	}
	return l
}

// socketLink is a socket in Go's poller, for servers without a poller of their own. Its goroutine
// waits there without a buffer. Only the link closes the socket, under the session's mu, so that a
// goroutine that holds mu may write to the descriptor.
type socketLink struct {
	server   *Server
	conn     net.Conn
	raw      netio.Raw
	fd       int
	draining bool // a drain goroutine lives; under the session's mu
}

func (l *socketLink) start(w *webSocket, read []byte) {
	l.server.tasks.Go(func() { l.read(w, read) })
}

func (l *socketLink) read(w *webSocket, read []byte) {
	if len(read) > 0 && !w.feed(read, nil) {
		w.readStopped()
		return
	}
	for {
		buf, err := l.raw.ReadBorrowed(readBuffer)
		if err != nil {
			w.readEnded(err)
			return
		}
		goesOn := w.feed(buf, nil)
		bufpool.Put(buf)
		if !goesOn {
			w.readStopped()
			return
		}
	}
}

func (l *socketLink) write(b []byte) (int, error)    { return netio.Write(l.fd, b) }
func (l *socketLink) writev(v [][]byte) (int, error) { return netio.Writev(l.fd, v) }
func (l *socketLink) closeWrite()                    { unix.Shutdown(l.fd, unix.SHUT_WR) }
func (l *socketLink) close()                         { l.conn.Close() }

func (l *socketLink) measure(e *eventloop.Ending) { measure(l.fd, e) }

func (l *socketLink) arm(w *webSocket) {
	if !l.draining {
		l.draining = true
		l.server.tasks.Go(func() { l.drain(w) })
	}
}

// drain waits until the socket takes more, and flushes, until nothing waits.
func (l *socketLink) drain(w *webSocket) {
	for {
		err := l.raw.SyscallConn().Write(writable)
		w.session.mu.Lock()
		w.blocked = false
		if err != nil && !w.closed {
			w.brokenLocked(err)
		}
		w.flushLocked()
		if !w.blocked || w.closed {
			l.draining = false
			w.session.mu.Unlock()
			return
		}
		w.session.mu.Unlock()
	}
}

// writable asks the kernel whether a socket takes more: Go's poller only knows of changes, and may
// have missed this one.
func writable(fd uintptr) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(p[:], 0)
	return n > 0 || err != nil && err != unix.EINTR
}
