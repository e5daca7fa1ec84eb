package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/logfile"
)

const (
	// keepInterval is how often the daemon looks whether its home folder is still there.
	keepInterval = time.Second
	// lockRetry is how long another process may hold the lock that doesn't stay: one that waits for
	// a daemon's end tries it.
	lockRetry = 100 * time.Millisecond
)

// keepHome looks until ctx ends whether commands still reach the daemon: somebody may remove the
// home folder, or what the daemon has there. Processes are its to end, so it doesn't leave them
// alone then: it puts lock and socket back, and goes on. If another daemon has the folder by then,
// this one ends, with its processes, as it would at a signal.
func (d *Daemon) keepHome(ctx context.Context) {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	failing := ""
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := d.keep(ctx)
		if errors.Is(err, errLocked) {
			d.cfg.Log.Error().Str("home", string(d.cfg.Home)).
				Msg("another daemon has taken the home folder, after it was removed or replaced: this one stops its processes and ends")
			d.end()
			return
		}
		text := ""
		if err != nil {
			text = err.Error()
		}
		if text != failing && err != nil {
			d.cfg.Log.Error().Err(err).Msg("the home folder is gone and can't be put back: commands don't reach this daemon")
		}
		failing = text
	}
}

// keep puts back what is missing. The error is errLocked where the folder is another daemon's.
func (d *Daemon) keep(ctx context.Context) error {
	restored, err := d.lock.keep(ctx, d.cfg.Home)
	if err != nil {
		return err
	}
	listening, err := d.control.keep()
	if err != nil || !restored && !listening {
		return err
	}
	if restored {
		d.logs.Reopen()
		if own, ok := d.cfg.OwnLog.(*logfile.File); ok {
			err = own.Reopen()
		}
		d.rewrite.Store(true)
		d.host.Processes.Poke()
	}
	d.cfg.Log.Warn().Str("home", string(d.cfg.Home)).Msg("somebody removed the home folder or a part of it: put back")
	return err
}

// homeLock is what makes this process the daemon of a folder.
type homeLock struct{ f *os.File }

// unlock must not run beside keep.
func (l *homeLock) unlock() { l.f.Close() }

// keep locks the folder anew if the lock file has gone, and reports whether it had to. The error is
// errLocked if another daemon was faster.
func (l *homeLock) keep(ctx context.Context, h Home) (restored bool, err error) {
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

// isAt reports whether a path leads to a file itself, of which stat tells.
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

// controlSocket is the listener at the control socket. It goes on at a new one when the socket is
// put back.
type controlSocket struct {
	path string

	mu     sync.Mutex // guards the rest
	l      *net.UnixListener
	at     fs.FileInfo // the socket's file
	closed bool
}

// openControl listens at the path, in place of the socket that a dead daemon left; then there was
// one. The caller holds the folder's lock.
func openControl(path string) (c *controlSocket, was bool, err error) {
	c = &controlSocket{path: path}
	was, err = c.listen()
	return c, was, err
}

// listen needs mu, or nobody else that has the socket.
func (c *controlSocket) listen() (was bool, err error) {
	err = os.Remove(c.path)
	if was = err == nil; err != nil && !errors.Is(err, fs.ErrNotExist) {
		return was, fmt.Errorf("daemon: control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: c.path, Net: "unix"})
	if err != nil {
		return was, fmt.Errorf("daemon: control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // what is there by then may be another daemon's
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

// keep listens anew if the socket is gone, and reports whether it had to. The caller holds the
// folder's lock.
func (c *controlSocket) keep() (restored bool, err error) {
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
	old.Close() // Accept goes on at the new one
	return true, nil
}

func (c *controlSocket) current() (l *net.UnixListener, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.l, c.closed
}

// Accept takes connections of the same user only: the folder's rights say so too, but a folder may
// be shared by mistake.
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
