package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// checkInterval is the time between two checks of the home folder.
	checkInterval = time.Second
	// lockRetry is how long another process may hold the lock for a moment: one that waits for a
	// daemon's end tries it.
	lockRetry = 100 * time.Millisecond
)

// homeGuard restores the lock and the socket if somebody removes the home folder or these files.
// So commands still reach the daemon, and its processes stay under its control.
type homeGuard struct {
	home     Home
	lock     *homeLock
	control  *controlSocket
	restored func() error // called when the folder had to be made anew
	log      *slog.Logger
}

// run guards the folder until ctx ends. It returns errLocked if another daemon has taken the
// folder; this one must then end with its processes.
func (g *homeGuard) run(ctx context.Context) error {
	tick := time.NewTicker(checkInterval)
	defer tick.Stop()
	failing := ""
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		err := g.restore(ctx)
		if errors.Is(err, errLocked) {
			g.log.Error("another daemon has taken over the home folder; this daemon stops its processes and ends", "home", string(g.home))
			return err
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != failing && err != nil {
			g.log.Error("the home folder is gone and can't be restored; commands don't reach this daemon", "error", err)
		}
		failing = text
	}
}

// restore restores missing files. It returns errLocked if another daemon owns the folder.
func (g *homeGuard) restore(ctx context.Context) error {
	remade, err := g.lock.restore(ctx, g.home)
	if err != nil {
		return err
	}
	listening, err := g.control.restore()
	if err != nil || !remade && !listening {
		return err
	}
	if remade {
		err = g.restored()
	}
	g.log.Warn("the home folder was removed in part or whole; restored", "home", string(g.home))
	return err
}

// homeLock is the lock by which this process owns the folder.
type homeLock struct{ f *os.File }

// unlock must not run beside restore.
func (l *homeLock) unlock() { l.f.Close() }

// restore locks the folder anew if the lock file has gone, and reports whether it had to. The error
// is errLocked if another daemon was faster.
func (l *homeLock) restore(ctx context.Context, h Home) (restored bool, err error) {
	ours, err := isAt(h.lockFile(), l.f.Stat)
	if err != nil || ours {
		return false, err
	}
	if _, err := OpenHome(string(h)); err != nil {
		return false, err
	}
	next, err := h.lock()
	if errors.Is(err, errLocked) {
		select {
		case <-time.After(lockRetry):
		case <-ctx.Done():
			return false, ctx.Err()
		}
		next, err = h.lock()
	}
	if err != nil {
		return false, err
	}
	l.unlock()
	l.f = next.f
	return true, nil
}

// isAt reports whether a path leads to the file that stat describes.
func isAt(path string, stat func() (fs.FileInfo, error)) (bool, error) {
	own, err := stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(own, there), err
}

// controlSocket is the listener at the control socket. If the socket is restored, it continues at
// the new one.
type controlSocket struct {
	path string

	mu     sync.Mutex // guards the rest
	l      *net.UnixListener
	at     fs.FileInfo // the socket's file
	closed bool
}

// openControl listens at the path. If a dead daemon left a socket there, it replaces the socket,
// and was is true. The caller holds the folder's lock.
func openControl(path string) (c *controlSocket, was bool, err error) {
	c = &controlSocket{path: path}
	was, err = c.listen()
	return c, was, err
}

// listen requires mu, or that nobody else has the socket.
func (c *controlSocket) listen() (was bool, err error) {
	err = os.Remove(c.path)
	if was = err == nil; err != nil && !errors.Is(err, fs.ErrNotExist) {
		return was, fmt.Errorf("daemon: control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.path, Net: "unix"})
	if err != nil {
		return was, fmt.Errorf("daemon: control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // by then another daemon's socket may be there
	err = os.Chmod(c.path, 0o600)
	if err == nil {
		c.at, err = os.Lstat(c.path)
	}
	if err != nil {
		l.Close()
		return was, fmt.Errorf("daemon: control socket: %w", err)
	}
	c.l = l
	return was, nil
}

// restore listens anew if the socket is gone, and reports whether it had to. The caller holds the
// folder's lock.
func (c *controlSocket) restore() (restored bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ours, err := isAt(c.path, func() (fs.FileInfo, error) { return c.at, nil })
	if err != nil || ours || c.closed {
		return false, err
	}
	old := c.l
	if _, err := c.listen(); err != nil {
		return false, err
	}
	old.Close() // Accept continues at the new one
	return true, nil
}

func (c *controlSocket) current() (l *net.UnixListener, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.l, c.closed
}

// Accept accepts connections of the same user only. The folder's rights demand that too, but
// somebody may share the folder by mistake.
func (c *controlSocket) Accept() (net.Conn, error) {
	for {
		l, _ := c.current()
		conn, err := l.AcceptUnix()
		if err != nil {
			if now, closed := c.current(); now != l && !closed {
				continue
			}
			return nil, err
		}
		if uid, err := peerUID(conn); err == nil && uid == os.Getuid() {
			return conn, nil
		}
		conn.Close()
	}
}

func (c *controlSocket) Addr() net.Addr { return &net.UnixAddr{Name: c.path, Net: "unix"} }

// Close ends Accept. The socket's file stays: see remove.
func (c *controlSocket) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	return c.l.Close()
}

// remove takes the socket's file away, unless it is another's.
func (c *controlSocket) remove() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ours, err := isAt(c.path, func() (fs.FileInfo, error) { return c.at, nil }); err != nil || !ours {
		return err
	}
	return os.Remove(c.path)
}
