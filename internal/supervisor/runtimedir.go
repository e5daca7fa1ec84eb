package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

const (
	dirPrefix = "sidereal-"  // folders in use
	newPrefix = ".sidereal-" // folders that are not locked yet
	lockName  = "lock"

	// longestParent leaves room in a unix socket's address (104 bytes where it has the fewest) for
	// the folder's name and those of the sockets in it.
	longestParent = 60
)

// RuntimeDir is a private folder (0700) for the unix sockets of a supervisor and its children. The
// kernel frees the lock in it when the process ends, which marks folders that a crash left behind.
type RuntimeDir struct {
	Path string
	lock *os.File
}

// NewRuntimeDir makes a folder in parent and removes the folders of this user's supervisors that
// have died. If parent is empty, or too long for the addresses of sockets, it uses the system's
// folder for temporary files. files are name prefixes of the regular files that children put there.
func NewRuntimeDir(parent string, files ...string) (*RuntimeDir, error) {
	if parent == "" || len(parent) > longestParent {
		if parent = os.TempDir(); len(parent) > longestParent {
			parent = "/tmp"
		}
	}
	sweep(parent, files)
	fresh, err := os.MkdirTemp(parent, newPrefix)
	if err != nil {
		return nil, fmt.Errorf("supervisor: runtime folder: %w", err)
	}
	lock, err := lockDir(fresh, os.O_CREATE|os.O_EXCL)
	if err != nil {
		os.RemoveAll(fresh)
		return nil, fmt.Errorf("supervisor: runtime folder: %w", err)
	}
	// The folder gets its name only now, with the lock held, so that no sweep removes it.
	path := filepath.Join(parent, dirPrefix+strings.TrimPrefix(filepath.Base(fresh), newPrefix))
	if err := os.Rename(fresh, path); err != nil {
		lock.Close()
		os.RemoveAll(fresh)
		return nil, fmt.Errorf("supervisor: runtime folder: %w", err)
	}
	return &RuntimeDir{path, lock}, nil
}

// Close removes the folder with its content.
func (d *RuntimeDir) Close() error {
	return errors.Join(os.RemoveAll(d.Path), d.lock.Close())
}

// lockDir locks a folder, and fails if it is locked.
func lockDir(dir string, flags int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), flags|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sweep removes folders of dead supervisors: real folders of this user, with a lock that nobody
// holds. A folder that has other content was never a supervisor's, whatever its name.
func sweep(parent string, files []string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	foreign := func(e fs.DirEntry) bool {
		ours := func(prefix string) bool { return strings.HasPrefix(e.Name(), prefix) }
		return e.Type() != fs.ModeSocket && e.Name() != lockName && !slices.ContainsFunc(files, ours)
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), dirPrefix) || !owned(e) {
			continue
		}
		path := filepath.Join(parent, e.Name())
		lock, err := lockDir(path, 0)
		if err != nil {
			continue // its supervisor is alive, or it isn't ours
		}
		if content, err := os.ReadDir(path); err == nil && !slices.ContainsFunc(content, foreign) {
			os.RemoveAll(path)
		}
		lock.Close()
	}
}

func owned(e fs.DirEntry) bool {
	info, err := e.Info()
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (int(st.Uid) == os.Getuid() || os.Getuid() == 0) // root's may have been given to an app's user
}
