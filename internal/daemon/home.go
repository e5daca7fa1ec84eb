package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sidereal-io/sidereal/internal/logfile"
	"github.com/sidereal-io/sidereal/internal/loghandler"
)

// maxSocketPath is the longest address of a unix socket where it is shortest, less the zero at its
// end.
const maxSocketPath = 103

// HomeName is the folder's name in a user's home, where SIDEREAL_HOME does not say another.
const HomeName = ".sidereal"

// Home is the folder of one user's daemon (SIDEREAL_HOME): its socket, lock, log, saved list, and
// the apps' logs.
type Home string

// OpenHome makes the folder, for its user only. The empty path is ~/.sidereal.
func OpenHome(path string) (Home, error) {
	if path == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("SIDEREAL_HOME is not set, and there is no home folder: %w", err)
		}
		path = filepath.Join(user, HomeName)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("SIDEREAL_HOME: %w", err)
	}
	h := Home(path)
	if len(h.socket()) > maxSocketPath {
		return "", fmt.Errorf("SIDEREAL_HOME=%s: the path of its socket is too long: at most %d bytes", path,
			maxSocketPath-len(h.socket())+len(path))
	}
	for _, dir := range []string{path, h.Logs(), h.PIDs(), h.runtime()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("create the home folder: %w; set SIDEREAL_HOME to another folder", err)
		}
	}
	return h, h.secure()
}

// secure sees to it that nobody else gets in.
func (h Home) secure() error {
	info, err := os.Stat(string(h))
	if err != nil {
		return fmt.Errorf("SIDEREAL_HOME: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Getuid() {
		return fmt.Errorf("SIDEREAL_HOME=%s belongs to another user: set another folder", h)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(string(h), 0o700); err != nil {
			return fmt.Errorf("SIDEREAL_HOME: %w", err)
		}
	}
	return nil
}

// Logs is where the processes' log files are by default.
func (h Home) Logs() string { return filepath.Join(string(h), "logs") }

// PIDs is where the processes' pid files are by default.
func (h Home) PIDs() string { return filepath.Join(string(h), "pids") }

// runtime is where the daemon keeps its sockets and scripts while it runs. Programs that clean
// folders for temporary files don't come here.
func (h Home) runtime() string { return filepath.Join(string(h), "run") }

// Log is the daemon's own log file.
func (h Home) Log() string { return filepath.Join(string(h), "sidereal.log") }

// OpenLog opens the daemon's own log file. It rotates like the others.
func (h Home) OpenLog(r logfile.Rotation) io.Writer {
	return logfile.New(h.Log(), r, slog.New(loghandler.New(os.Stderr, slog.LevelInfo)))
}

// Dump is the saved list; the one before it has .bak behind its name.
func (h Home) Dump() string { return filepath.Join(string(h), "dump.json") }

func (h Home) socket() string { return filepath.Join(string(h), "daemon.sock") }

func (h Home) lockFile() string { return filepath.Join(string(h), "daemon.lock") }

// errLocked reports that a daemon lives.
var errLocked = errors.New("a daemon is running")

// lock makes this process the daemon of the folder, until it ends or unlocks. It does not wait.
func (h Home) lock() (*homeLock, error) {
	for {
		f, err := os.OpenFile(h.lockFile(), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, fmt.Errorf("daemon: lock: %w", err)
		}
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			var there bool
			if there, err = isAt(h.lockFile(), f.Stat); there {
				return &homeLock{f}, nil
			}
		}
		f.Close()
		switch {
		case err == nil: // removed since it was opened: somebody else may have made and locked another
		case errors.Is(err, syscall.EWOULDBLOCK):
			return nil, errLocked
		default:
			return nil, fmt.Errorf("daemon: lock: %w", err)
		}
	}
}

// awaitFree waits until no daemon owns the folder.
func (h Home) awaitFree(ctx context.Context) error {
	for {
		lock, err := h.lock()
		if err == nil {
			lock.unlock()
			return nil
		}
		if !errors.Is(err, errLocked) {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
