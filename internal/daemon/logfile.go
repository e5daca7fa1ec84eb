package daemon

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Rotation says when a log file is put aside, and what is kept of those.
type Rotation struct {
	MaxSize int64         // bytes; 0: never by size
	MaxAge  time.Duration // of the file in use and of those put aside; 0: any
	Keep    int           // files put aside: <file>.1 is the youngest
}

// logFile is a log file that any number of processes write to. Its path is open once, however many ask for it.
type logFile struct {
	path     string
	rotation Rotation
	log      zerolog.Logger
	metrics  *Metrics // nil: nobody counts

	mu      sync.Mutex // guards what follows; held over writes, so that a slow disk holds up who writes
	f       *os.File   // nil: could not be opened
	regular bool       // and not a terminal or a pipe, which don't rotate
	size    int64
	begun   time.Time // when the file was begun, as far as is known
	users   int
	failing bool // the last write failed: said once
}

// open opens the file where it is not, and makes its folder.
func (l *logFile) openLocked() error {
	if l.f != nil {
		return nil
	}
	f, err := openFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
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

// slowPipe is how long a pipe or a terminal may take no bytes, as one whose reader is suspended.
// The lines are lost then, as in a pipe without a reader, and each further write waits for
// pipeRetry only.
const (
	slowPipe  = time.Second
	pipeRetry = 10 * time.Millisecond
)

// Write appends. What cannot be written is lost, and said once: the process that wrote it is not to blame.
func (l *logFile) Write(b []byte) (int, error) {
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
	l.metrics.lose(len(b) - n)
	if err != nil && !l.failing {
		l.log.Error().Str("file", l.path).Err(err).Msg("log file cannot be written: lines are lost")
	}
	l.failing = err != nil
	return len(b), err
}

// limitLocked bounds the next write to a pipe or a terminal: the end of a process waits for its
// last lines, and so would its stop, and the daemon's. A regular file takes no deadline, and needs
// none.
func (l *logFile) limitLocked() {
	if l.regular {
		return
	}
	patience := slowPipe
	if l.failing {
		patience = pipeRetry
	}
	_ = l.f.SetWriteDeadline(time.Now().Add(patience)) // an error is that it never waits, as /dev/null
}

func (l *logFile) dueLocked(more int) bool {
	if l.f == nil || !l.regular || l.size == 0 {
		return false
	}
	r := l.rotation
	return r.MaxSize > 0 && l.size+int64(more) > r.MaxSize || r.MaxAge > 0 && time.Since(l.begun) > r.MaxAge
}

// rotateLocked puts the file aside and begins a new one. One that can't be put aside grows on.
func (l *logFile) rotateLocked() {
	to, err := lead(l.path, false)
	if err == nil {
		err = l.shift(to)
		to.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Error().Str("file", l.path).Err(err).Msg("log file cannot be put aside")
		l.size, l.begun = 0, time.Now() // tried again after as many bytes, and not at each line
		return
	}
	l.f.Close()
	l.f = nil
}

// shift gives the file, and those put aside before, the next number, and removes what is not kept.
func (l *logFile) shift(to safely) error {
	aside := func(i int) string { return fmt.Sprintf("%s.%d", to.name, i) }
	to.remove(aside(max(l.rotation.Keep, 1)))
	for i := l.rotation.Keep - 1; i >= 1; i-- {
		_ = to.rename(aside(i), aside(i+1)) // an error is that there is none
	}
	err := to.rename(to.name, aside(1))
	if l.rotation.Keep == 0 {
		to.remove(aside(1))
	}
	for i := 1; i <= l.rotation.Keep && l.rotation.MaxAge > 0; i++ {
		if at, err := to.modified(aside(i)); err == nil && time.Since(at) > l.rotation.MaxAge {
			to.remove(aside(i))
		}
	}
	return err
}

// reopen goes on in a new file, when the old one has been moved away.
func (l *logFile) reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
	return l.openLocked()
}

// flush empties the file.
func (l *logFile) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := openFile(l.path, os.O_WRONLY, 0)
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

// OpenLog opens the daemon's own log file, to be written to by whoever has something to say. It rotates like the others.
func (h Home) OpenLog(r Rotation) io.Writer {
	return &logFile{path: h.Log(), rotation: r, log: zerolog.New(os.Stderr)}
}

// logFiles are the open log files of a daemon.
type logFiles struct {
	rotation Rotation
	log      zerolog.Logger
	metrics  *Metrics // nil: nobody counts

	mu   sync.Mutex // guards open, and the users of each
	open map[string]*logFile
}

// use opens a file, or one more time the same; release gives it back.
func (fs *logFiles) use(path string) *logFile {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	l := fs.open[path]
	if l == nil {
		l = &logFile{path: path, rotation: fs.rotation, log: fs.log, metrics: fs.metrics}
		fs.open[path] = l
	}
	l.users++
	return l
}

func (fs *logFiles) release(l *logFile) {
	if !fs.forget(l) {
		return
	}
	l.mu.Lock() // without fs.mu: a write may take its time, and the owner of the apps waits for fs.mu
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}

// forget takes a file out that nobody uses any more.
func (fs *logFiles) forget(l *logFile) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if l.users--; l.users > 0 {
		return false
	}
	delete(fs.open, l.path)
	return true
}

// reopen goes on in new files, where the old ones are gone. What can't be opened shows at the next
// write.
func (fs *logFiles) reopen() {
	fs.mu.Lock()
	open := slices.Collect(maps.Values(fs.open))
	fs.mu.Unlock()
	for _, l := range open {
		_ = l.reopen()
	}
}
