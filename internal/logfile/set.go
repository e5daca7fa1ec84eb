package logfile

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// Set has the log files of many processes. Each path is open once, however many processes use it.
type Set struct {
	rotation Rotation
	log      *slog.Logger
	lost     func(bytes int)

	mu   sync.Mutex // guards open, and the users of each
	open map[string]*File
}

// NewSet makes a set without files. Lost counts the bytes that could not be written; it may be nil.
func NewSet(r Rotation, log *slog.Logger, lost func(bytes int)) *Set {
	return &Set{rotation: r, log: log, lost: lost, open: map[string]*File{}}
}

// Use returns the file of a path. Release gives it back.
func (s *Set) Use(path string) *File {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.open[path]
	if l == nil {
		l = &File{path: path, rotation: s.rotation, log: s.log, lost: s.lost}
		s.open[path] = l
	}
	l.users++
	return l
}

// Release gives back a file that Use returned. The last one closes it.
func (s *Set) Release(l *File) {
	if !s.forget(l) {
		return
	}
	l.mu.Lock() // without s.mu: a write may take its time, and a daemon waits for s.mu
	defer l.mu.Unlock()
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}

// forget takes a file out that nobody uses any more.
func (s *Set) forget(l *File) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.users--; l.users > 0 {
		return false
	}
	delete(s.open, l.path)
	return true
}

// Reopen goes on in new files, where the old ones are gone. What can't be opened shows at the next
// write.
func (s *Set) Reopen() {
	s.mu.Lock()
	open := slices.Collect(maps.Values(s.open))
	s.mu.Unlock()
	for _, l := range open {
		_ = l.Reopen()
	}
}
