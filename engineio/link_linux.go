package engineio

import (
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/netio"
)

// readBuffer is what is borrowed to read a socket that has something.
const readBuffer = 16 << 10

// pollers are what a server on Linux parks its sockets in.
type pollers struct {
	once sync.Once
	one  *poller // nil: not begun, or not to be had
}

// poller gives the server's poller, begun when the first socket needs it; nil if the server does
// not run (nobody would wait for the poller's end).
func (s *Server) poller() *poller {
	if !s.running.Load() {
		return nil
	}
	s.pollers.once.Do(func() {
		p, err := newPoller(&s.pool)
		if err != nil {
			s.cfg.Log.Warn().Err(err).Msg("no epoll: each WebSocket takes a goroutine")
			return
		}
		s.pollers.one = p
		s.tasks.Go(p.run)
	})
	return s.pollers.one
}

// stopPolling ends the poller. No socket may be added any more.
func (s *Server) stopPolling() {
	s.pollers.once.Do(func() {})
	if p := s.pollers.one; p != nil {
		p.close()
	}
}

// newLink picks what reads and writes conn. A connection that has SyscallConn lets its descriptor
// be read and written past its Read and Write: its socket is parked in the server's poller. Others,
// TLS above all, are streams.
func (s *Server) newLink(conn net.Conn) link {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return &streamLink{server: s, conn: conn}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return &streamLink{server: s, conn: conn}
	}
	if p := s.poller(); p != nil {
		if l, err := p.detach(conn, raw); err == nil {
			return l
		}
	}
	l := &socketLink{server: s, conn: conn}
	if !l.raw.Open(conn) || raw.Control(func(fd uintptr) { l.fd = int(fd) }) != nil {
		return &streamLink{server: s, conn: conn}
	}
	return l
}

// socketLink is a socket in Go's poller, with a goroutine that waits there and holds no buffer
// while it does: what a server does that has no poller. Nobody but the link closes the socket,
// under the session's mu, so that holding mu makes the descriptor safe to write to.
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

// writable asks the kernel: Go's poller only knows of changes, and may have seen this one before it
// was asked.
func writable(fd uintptr) bool {
	p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	n, err := unix.Poll(p[:], 0)
	return n > 0 || err != nil && err != unix.EINTR
}
