// Package logfile writes log files that any number of processes share, and rotates them.
//
// Everything may be called concurrently. A [File] opens its path with the first write. What it
// can't write is lost, since the process that wrote it isn't to blame.
package logfile

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/safefile"
)

// Rotation says when a log file is put aside, and how many of these are kept.
type Rotation struct {
	MaxSize int64         // bytes; 0: never by size
	MaxAge  time.Duration // of the file in use and of those put aside; 0: any
	Keep    int           // files put aside: <file>.1 is the youngest
}

// File is a log file.
type File struct {
	path     string
	rotation Rotation
	log      *slog.Logger
	lost     func(bytes int) // counts what could not be written; nil: nobody counts

	mu      sync.Mutex // guards what follows; held over writes, so that a slow disk holds up who writes
	f       *os.File   // nil: could not be opened
	regular bool       // and not a terminal or a pipe, which don't rotate
	size    int64
	begun   time.Time // when the file was begun, as far as is known
	users   int
	failing bool // the last write failed: said once
}

// New makes a log file of its own. It logs its failures, each time that they begin.
func New(path string, r Rotation, log *slog.Logger) *File {
	return &File{path: path, rotation: r, log: log}
}

// Path is where the file is.
func (l *File) Path() string { return l.path }

// openLocked opens the file unless it is open, and makes its folder.
func (l *File) openLocked() error {
	if l.f != nil {
		return nil
	}
	f, err := safefile.Open(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	l.f, l.size, l.begun, l.regular = f, 0, time.Now(), false
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		l.regular = true
		if l.size = info.Size(); l.size > 0 {
			l.begun = info.ModTime()
		}
	}
	return nil
}

// Create makes the file, so that it's there before the first line. The first write logs why it
// can't be made.
func (l *File) Create() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.openLocked()
}

// slowPipe is how long a pipe or a terminal may take no bytes, as one whose reader is suspended.
// The lines are lost then, as in a pipe without a reader, and each further write waits for
// pipeRetry only.
const (
	slowPipe  = time.Second
	pipeRetry = 10 * time.Millisecond
)

// Write appends. What cannot be written is lost, and said once: the process that wrote it is not to
// blame.
func (l *File) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dueLocked(len(b)) {
		l.rotateLocked()
	}
	n, err := 0, l.openLocked()
	if err == nil {
		l.limitLocked()
		n, err = l.f.Write(b)
		l.size += int64(n)
	}
	if l.lost != nil {
		l.lost(len(b) - n)
	}
	if err != nil && !l.failing {
		l.log.Error("log file can't be written: lines are lost", "file", l.path, "error", err)
	}
	l.failing = err != nil
	return len(b), err
}

// limitLocked bounds the next write to a pipe or a terminal: the end of a process waits for its
// last lines, and so would its stop, and the daemon's. A regular file takes no deadline, and needs
// none.
func (l *File) limitLocked() {
	if l.regular {
		return
	}
	patience := slowPipe
	if l.failing {
		patience = pipeRetry
	}
	_ = l.f.SetWriteDeadline(time.Now().Add(patience)) // an error is that it never waits, as /dev/null
}

func (l *File) dueLocked(more int) bool {
	if l.f == nil || !l.regular || l.size == 0 {
		return false
	}
	r := l.rotation
	return r.MaxSize > 0 && l.size+int64(more) > r.MaxSize || r.MaxAge > 0 && time.Since(l.begun) > r.MaxAge
}

// rotateLocked puts the file aside and begins a new one. One that can't be put aside grows on.
func (l *File) rotateLocked() {
	to, err := safefile.Find(l.path)
	if err == nil {
		err = l.shift(to)
		to.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Error("log file can't be rotated", "file", l.path, "error", err)
		l.size, l.begun = 0, time.Now() // tried again after as many bytes, and not at each line
		return
	}
	l.f.Close()
	l.f = nil
}

// shift gives the file, and those put aside before, the next number, and removes what is not kept.
func (l *File) shift(to safefile.Entry) error {
	aside := func(i int) string { return fmt.Sprintf("%s.%d", to.Name, i) }
	to.Remove(aside(max(l.rotation.Keep, 1)))
	for i := l.rotation.Keep - 1; i >= 1; i-- {
		_ = to.Rename(aside(i), aside(i+1)) // an error is that there is none
	}
	err := to.Rename(to.Name, aside(1))
	if l.rotation.Keep == 0 {
		to.Remove(aside(1))
	}
	for i := 1; i <= l.rotation.Keep && l.rotation.MaxAge > 0; i++ {
		if at, err := to.Modified(aside(i)); err == nil && time.Since(at) > l.rotation.MaxAge {
			to.Remove(aside(i))
		}
	}
	return err
}

// Reopen goes on in a new file, when the old one has been moved away.
func (l *File) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
	return l.openLocked()
}

// Flush empties the file.
func (l *File) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := safefile.Open(l.path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return err // a terminal or a pipe has nothing to empty
	}
	if err := f.Truncate(0); err != nil {
		return &fs.PathError{Op: "truncate", Path: l.path, Err: err}
	}
	l.size, l.begun = 0, time.Now()
	return nil
}
