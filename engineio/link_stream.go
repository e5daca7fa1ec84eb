package engineio

import (
	"net"

	"github.com/sidereal-io/sidereal/internal/bufpool"
	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// streamBuffer is the size of a stream's read buffer. TLS records have up to 16 KB; larger reads
// are rare enough to take several.
const streamBuffer = 4 << 10

// streamLink is a connection with blocking calls only: TLS, net.Pipe, or any socket on systems
// without link_linux.go. It costs a reader goroutine with a buffer, and a writer goroutine while
// there is something to write.
type streamLink struct {
	server *Server
	conn   net.Conn
	now    immediate // nil: conn has only Write
}

// immediate is a connection that has a buffer, as a socket has in the kernel. Connections within a
// process may be such, so that tests see what sockets do: a write finds room.
type immediate interface {
	// WriteNow writes what fits without waiting.
	WriteNow([]byte) (int, error)
}

func (s *Server) newStreamLink(conn net.Conn) *streamLink {
	now, _ := conn.(immediate)
	return &streamLink{server: s, conn: conn, now: now}
}

func (l *streamLink) start(w *webSocket, read []byte) {
	l.server.tasks.Go(func() { l.read(w, read) })
}

func (l *streamLink) read(w *webSocket, read []byte) {
	if len(read) > 0 && !w.feed(read, nil) {
		w.readStopped()
		return
	}
	buf := bufpool.Get(streamBuffer)[:streamBuffer]
	defer bufpool.Put(buf)
	for {
		n, err := l.conn.Read(buf)
		if n > 0 && !w.feed(buf[:n], nil) {
			w.readStopped()
			return
		}
		if err != nil {
			w.readEnded(err)
			return
		}
	}
}

func (l *streamLink) write(b []byte) (int, error) {
	if l.now == nil {
		return 0, nil
	}
	return l.now.WriteNow(b)
}

func (l *streamLink) writev(v [][]byte) (n int, err error) {
	for _, b := range v {
		k, err := l.write(b)
		if n += k; err != nil || k < len(b) {
			return n, err
		}
	}
	return n, nil
}

// close and closeWrite leave the work to a goroutine: TLS writes an alert, for which it waits up to
// five seconds where the peer does not read, and the caller holds the session's mu and may be the
// wheel.
func (l *streamLink) close() {
	l.server.tasks.Go(func() { l.conn.Close() })
}

func (l *streamLink) closeWrite() {
	l.server.tasks.Go(func() {
		if c, ok := l.conn.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
			l.conn.Close()
		}
	})
}

// measure does nothing: TLS hides the connection.
func (l *streamLink) measure(*eventloop.Ending) {}

func (l *streamLink) arm(w *webSocket) {
	l.server.tasks.Go(func() { l.drain(w) })
}

// drain writes the queue in pieces of up to 16 KB until it is empty.
func (l *streamLink) drain(w *webSocket) {
	buf := bufpool.Get(corkBytes)
	defer func() { bufpool.Put(buf) }()
	mu := &w.session.mu
	mu.Lock()
	defer mu.Unlock()
	for !w.closed && len(w.out.items) > 0 {
		buf = w.takeBytesLocked(buf[:0])
		mu.Unlock()
		_, err := l.conn.Write(buf)
		mu.Lock()
		if err != nil && !w.closed {
			w.brokenLocked(err)
		}
	}
	w.blocked = false
	w.flushLocked()
}

// takeBytesLocked moves bytes of the queue to dst, as far as it has room.
func (w *webSocket) takeBytesLocked(dst []byte) []byte {
	threshold := w.threshold()
	for len(w.out.items) > 0 && len(dst) < cap(dst) {
		f := w.out.items[0].wire(threshold)
		n := copy(dst[len(dst):cap(dst)], f[w.out.off:])
		dst = dst[:len(dst)+n]
		if w.out.off+n == len(f) {
			w.out.drop(1)
		} else {
			w.out.off += n
			w.out.bytes -= n
		}
	}
	return dst
}
