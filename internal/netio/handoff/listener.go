package handoff

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/internal/netio"
)

// handshakeTimeout bounds how long either side waits for the other's first bytes.
const handshakeTimeout = 5 * time.Second

// Listener is a worker's end. Accept returns a *Conn for each connection passed to it.
type Listener struct {
	ln        *net.UnixListener
	worker    string
	untouched bool // client connections come without a head
	feed      *netio.Feed
	once      sync.Once
	wg        sync.WaitGroup

	mu      sync.Mutex                 // guards what follows
	senders map[*net.UnixConn]struct{} // nil once closed
	lost    uint64
	total   prometheus.Counter // of lost ones; nil: nobody counts them
}

var _ net.Listener = (*Listener)(nil)

// Listen opens the handoff socket of a worker. The path must not exist, or be a socket that nobody
// listens on; the file is made with mode 0600 and removed by Close.
func Listen(path, workerID string) (*Listener, error) {
	return listen(defaultNetwork, path, workerID, false)
}

// ListenUntouched is Listen for a worker whose server cannot be given bytes that were read before,
// as Node's. Its connections of kind Client are those of which the router has only looked at the
// first request (MSG_PEEK): a WebSocket upgrade, whole, without a forwarding field, from the client
// itself. They have no head, and nobody can have forged who sent them. All other requests come over
// connections of kind Local and Peer, with their heads, as ever.
func ListenUntouched(path, workerID string) (*Listener, error) {
	return listen(defaultNetwork, path, workerID, true)
}

func listen(network, path, workerID string, untouched bool) (*Listener, error) {
	if workerID == "" || len(workerID) > 255 {
		return nil, fmt.Errorf("handoff: listen on %s: worker id %q", path, workerID)
	}
	if err := removeStale(network, path); err != nil {
		return nil, fmt.Errorf("handoff: listen on %s: %w", path, err)
	}
	ln, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		return nil, fmt.Errorf("handoff: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, fmt.Errorf("handoff: %w", err)
	}
	l := &Listener{
		ln: ln, worker: workerID, untouched: untouched,
		feed:    netio.NewFeed(ln.Addr()),
		senders: make(map[*net.UnixConn]struct{}),
	}
	serve := l.serveStream
	if network != "unix" {
		serve = l.servePackets
	}
	l.wg.Go(func() { l.accept(serve) })
	return l, nil
}

// removeStale removes the socket of a worker that was killed.
func removeStale(network, path string) error {
	if fi, err := os.Lstat(path); err != nil || fi.Mode()&fs.ModeSocket == 0 {
		return nil // not there, or not ours to remove: listening reports it
	}
	c, err := net.DialUnix(network, nil, &net.UnixAddr{Name: path, Net: network})
	if err == nil {
		c.Close()
		return os.ErrExist
	}
	return os.Remove(path)
}

// accept takes in senders until the listener closes.
func (l *Listener) accept(serve func(*net.UnixConn)) {
	for {
		c, err := l.ln.AcceptUnix()
		if err != nil {
			select {
			case <-l.feed.Done():
				return
			case <-time.After(50 * time.Millisecond): // out of descriptors: some may be closed by then
				continue
			}
		}
		l.mu.Lock()
		if l.senders == nil {
			l.mu.Unlock()
			c.Close()
			continue
		}
		l.senders[c] = struct{}{}
		l.mu.Unlock()
		l.wg.Go(func() {
			serve(c)
			l.forget(c)
		})
	}
}

// forget makes Close leave c to its serve function.
func (l *Listener) forget(c *net.UnixConn) {
	l.mu.Lock()
	delete(l.senders, c)
	l.mu.Unlock()
}

// deliver gives c to Accept, or closes it when the listener ends first.
func (l *Listener) deliver(c *Conn) bool {
	if !l.feed.Give(c) {
		c.Close()
		return false
	}
	return true
}

// Accept waits for the next passed connection. After Close it fails with [net.ErrClosed].
func (l *Listener) Accept() (net.Conn, error) { return l.feed.Accept() }

// Addr is the socket's path.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Lost counts datagrams that brought no usable connection: malformed, meant for another worker,
// touched where they must not be, or cut because this process is out of descriptors.
func (l *Listener) Lost() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

// Close removes the socket and waits for the listener's goroutines. Senders see ErrDead;
// connections that were passed but not accepted are closed; accepted ones are not touched.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		l.feed.Close()
		err = l.ln.Close()
		l.mu.Lock()
		for c := range l.senders {
			c.Close()
		}
		l.senders = nil
		l.mu.Unlock()
	})
	l.wg.Wait()
	return err
}
