// Package safefile opens, renames and removes files in folders that other users may write to.
//
// Log and pid files may lie in such folders: an app with a uid usually logs into its own folder,
// and the daemon is root then. Anybody who may write there can put a symbolic link, a hard link, a
// FIFO or a device in the place of the file, or of a folder on the way to it, at any time. So the
// package goes to these files by descriptors, one name after the other:
//
//   - It follows a symbolic link of root or of its own user. It follows a link of another user only
//     into a folder that belongs to that user, too: a release folder that `current` points to, but
//     not /etc.
//   - It opens without following and without waiting, and then looks at what it has. Only in a folder
//     that nobody else writes to may that be a FIFO or a device (/dev/stdout), or a file with further
//     names (hard links).
//   - In a folder that everybody may write to, the file must belong to root, to this user or to the
//     folder's owner: the app's lines are not for the user who made the file first.
//   - It renames and removes relative to the open folder, and never follows a link there.
//
// The files belong to this user. Opening them as the app's user would be simpler, but that user
// can't write into the daemon's home or /var/log, where most of these files are.
//
// The functions may be called concurrently.
package safefile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxLinks is how many symbolic links a path may lead through, as in the kernel.
const maxLinks = 40

// ErrUnsafe reports a path that another user has made lead elsewhere.
var ErrUnsafe = errors.New("refused: another user could have put it there")

// folder is an open folder.
type folder struct {
	f       *os.File
	owner   uint32
	private bool // only root and we write to it
	open    bool // everybody writes to it
}

// Entry is where a path leads: a name in an open folder. Close closes the folder.
type Entry struct {
	Name string

	folder
}

// Find goes to the folder of a file.
func Find(path string) (Entry, error) { return find(path, false) }

// find goes to the folder of a file. With make it makes the folders that are missing.
func find(path string, make bool) (to Entry, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return to, err
	}
	dir, name := filepath.Split(path)
	at, err := root()
	if err != nil {
		return to, err
	}
	w := walk{at: at, make: make}
	if err := w.through(dir); err != nil {
		w.at.f.Close()
		return to, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return Entry{name, w.at}, nil
}

// Close closes the folder.
func (s Entry) Close() error { return s.f.Close() }

// walk goes through folders.
type walk struct {
	at    folder
	make  bool
	links int
}

// link is a symbolic link.
type link struct {
	owner  uint32
	target string
}

// follow goes to a folder that a link leads to. A link of another user must end in a folder of that
// user, and makes none on its way.
func (w *walk) follow(l link, dir string) error {
	if ours(l.owner) {
		return w.through(dir)
	}
	make := w.make
	w.make = false
	err := w.through(dir)
	w.make = make
	if err == nil && w.at.owner != l.owner {
		err = fmt.Errorf("a symbolic link of user %d leads to a folder of user %d: %w", l.owner, w.at.owner, ErrUnsafe)
	}
	return err
}

func (w *walk) through(dir string) error {
	if strings.HasPrefix(dir, "/") {
		at, err := root()
		if err != nil {
			return err
		}
		w.turn(at)
	}
	for name := range strings.SplitSeq(dir, "/") {
		if name == "" || name == "." {
			continue
		}
		if err := w.step(name); err != nil {
			return err
		}
	}
	return nil
}

// step goes one name further.
func (w *walk) step(name string) error {
	fd, err := openat(w.at.f, name, folderFlags|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOENT) && w.make {
		if err = unix.Mkdirat(int(w.at.f.Fd()), name, 0o700); err == nil || errors.Is(err, unix.EEXIST) {
			fd, err = openat(w.at.f, name, folderFlags|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		}
	}
	if err == nil {
		at, err := folderOf(fd, name)
		if err != nil {
			return err
		}
		w.turn(at)
		return nil
	}
	l, isLink, failed := w.link(name)
	if failed != nil || !isLink {
		return cmp.Or(failed, err)
	}
	return w.follow(l, l.target)
}

// link reads a symbolic link in the folder.
func (w *walk) link(name string) (l link, isLink bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(w.at.f.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil || st.Mode&unix.S_IFMT != unix.S_IFLNK {
		return l, false, nil
	}
	if w.links++; w.links > maxLinks {
		return l, true, unix.ELOOP
	}
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(w.at.f.Fd()), name, b)
	return link{st.Uid, string(b[:max(n, 0)])}, true, err
}

func (w *walk) turn(to folder) {
	w.at.f.Close()
	w.at = to
}

// ours reports whether a user is root or the daemon's own.
func ours(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

func root() (folder, error) {
	fd, err := unix.Open("/", folderFlags|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return folder{}, err
	}
	return folderOf(fd, "/")
}

func folderOf(fd int, name string) (folder, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return folder{}, err
	}
	return folder{
		f: os.NewFile(uintptr(fd), name), owner: st.Uid,
		private: ours(st.Uid) && st.Mode&0o022 == 0, open: st.Mode&0o002 != 0,
	}, nil
}

func openat(dir *os.File, name string, flags int, mode uint32) (fd int, err error) {
	for {
		fd, err = unix.Openat(int(dir.Fd()), name, flags|unix.O_CLOEXEC, mode)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// Open opens the file of a path. With O_CREATE among the flags it makes missing folders, too.
func Open(path string, flags int, mode fs.FileMode) (*os.File, error) {
	to, err := find(path, flags&os.O_CREATE != 0)
	if err != nil {
		return nil, err
	}
	w := walk{at: to.folder, make: flags&os.O_CREATE != 0}
	f, err := w.open(to.Name, flags, mode)
	w.at.f.Close()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return f, nil
}

// open opens a name in the folder, or what it is a link to.
func (w *walk) open(name string, flags int, mode fs.FileMode) (*os.File, error) {
	const patience = unix.O_NONBLOCK | unix.O_NOCTTY // a FIFO must not hold us up, nor a terminal become ours
	fd, err := openat(w.at.f, name, flags|patience|unix.O_NOFOLLOW, uint32(mode.Perm()))
	if err == nil {
		return w.checked(fd, name)
	}
	l, isLink, failed := w.link(name)
	if failed != nil || !isLink {
		return nil, cmp.Or(failed, err)
	}
	if strings.Contains(l.target, ":[") && w.at.private { // what /dev/stdout comes to: the kernel's own link to a pipe
		if fd, err = openat(w.at.f, name, flags&^os.O_CREATE|patience, 0); err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), name), nil
	}
	dir, name := filepath.Split(l.target)
	if dir == "" {
		dir = "."
	}
	if err := w.follow(l, dir); err != nil {
		return nil, err
	}
	return w.open(name, flags, mode)
}

// checked refuses what is not the file that it seems.
func (w *walk) checked(fd int, name string) (*os.File, error) {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	regular := st.Mode&unix.S_IFMT == unix.S_IFREG
	switch {
	case err != nil:
	case !regular && !w.at.private:
		err = fmt.Errorf("%s is not a regular file: %w", name, ErrUnsafe)
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		err = syscall.EISDIR
	case regular && st.Nlink > 1 && !w.at.private:
		err = fmt.Errorf("%s has further names (hard links): %w", name, ErrUnsafe)
	case regular && w.at.open && !ours(st.Uid) && st.Uid != w.at.owner:
		err = fmt.Errorf("%s belongs to user %d: %w", name, st.Uid, ErrUnsafe)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Rename gives another name in the folder to whatever has the name from.
func (s Entry) Rename(from, to string) error {
	return unix.Renameat(int(s.f.Fd()), from, int(s.f.Fd()), to)
}

// Remove removes a name from the folder, whatever it stands for.
func (s Entry) Remove(name string) error { return unix.Unlinkat(int(s.f.Fd()), name, 0) }

// Modified is when whatever has the name was changed.
func (s Entry) Modified(name string) (time.Time, error) {
	var st unix.Stat_t
	err := unix.Fstatat(int(s.f.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return time.Unix(st.Mtim.Unix()), err
}

// Remove removes the file of a path.
func Remove(path string) error {
	to, err := Find(path)
	if err != nil {
		return err
	}
	defer to.Close()
	return to.Remove(to.Name)
}
