package router

import (
	"context"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/directory"
	"github.com/sidereal-io/sidereal/internal/netio"
)

// workerConn is a connection to a worker. Between two requests the worker keeps it in its pool.
type workerConn struct {
	netio.Stream
	w      *worker
	named  bool // requests say which worker is meant
	greet  bool // the first one has to show the key
	reused bool
	doored bool             // the door does not give it away: it goes on speaking between us and the worker
	since  time.Time        // idle since
	fd     syscall.RawConn  // below TLS; nil: it has none
	peek   func(fd uintptr) // onPeek, made once
	peeked [1]byte
	opened bool // counted among the router's descriptors
	silent bool // what onPeek found: neither bytes nor the end
	// Of a WebSocket: whether it is a session's, and which; an empty sid says that it opens one.
	session bool
	sid     string
}

// alive finds out whether an idle connection is silent. One that the worker has closed would lose
// the request, and what a worker said without being asked would be taken for the next client's
// answer.
func (u *workerConn) alive() bool {
	if u.fd == nil {
		return true
	}
	u.silent = false
	return u.fd.Control(u.peek) == nil && u.silent && (u.SyscallConn() != nil || u.heardAll())
}

func (u *workerConn) onPeek(fd uintptr) {
	_, _, err := syscall.Recvfrom(int(fd), u.peeked[:], syscall.MSG_PEEK) // the descriptor does not block
	u.silent = err == syscall.EAGAIN
}

// heardAll reports whether TLS, which reads ahead, has nothing left of what it read. It reads
// nothing from the socket.
func (u *workerConn) heardAll() bool {
	u.Conn.SetReadDeadline(past)
	n, err := u.Conn.Read(u.peeked[:])
	u.Conn.SetReadDeadline(time.Time{})
	return n == 0 && isTimeout(err)
}

func (u *workerConn) close() {
	u.Drop()
	u.Conn.Close()
	if u.opened {
		u.opened = false
		u.w.r.budget.open.Add(-1)
	}
}

// counted counts u among the router's descriptors until it is closed.
func (u *workerConn) counted() *workerConn {
	u.opened = true
	u.w.r.budget.open.Add(1)
	return u
}

// key is what u's other end is shown: the secret, but not in plain text where TLS is spoken. A
// worker that stands alone has a key of its own then.
func (u *workerConn) key(ctx context.Context) (string, error) {
	key, err := u.w.key(ctx)
	if err == nil && u.w.r.cfg.Certificates != nil && !u.doored {
		return directory.WorkerKey(key, u.w.id), nil
	}
	return key, err
}
