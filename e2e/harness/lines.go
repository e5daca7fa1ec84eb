package harness

import (
	"bufio"
	"context"
	"io"
	"sync"
	"testing"
	"time"
)

// Patience bounds every wait of the harness. It is no expectation: a test that waits this long
// fails.
const Patience = 2 * time.Minute

// Lines keeps what a process printed and lets tests wait for a line. Safe for concurrent use.
type Lines struct {
	mu    sync.Mutex
	all   []string
	more  chan struct{} // closed and replaced at each line
	ended bool
}

func newLines() *Lines { return &Lines{more: make(chan struct{})} }

// collect reads r to its end.
func (l *Lines) collect(r io.Reader) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		l.add(scanner.Text(), false)
	}
	l.add("", true)
}

func (l *Lines) add(line string, end bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end {
		l.ended = true
	} else {
		l.all = append(l.all, line)
	}
	close(l.more)
	l.more = make(chan struct{})
}

// All returns what has been printed up to now.
func (l *Lines) All() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[:len(l.all):len(l.all)]
}

// Wait returns the first line from position `from` on that match accepts, and the position after
// it. It fails the test when the output ends, or Patience does, before such a line comes.
func (l *Lines) Wait(t testing.TB, from int, what string, match func(string) bool) (line string, next int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for {
		l.mu.Lock()
		all, more, ended := l.all, l.more, l.ended
		l.mu.Unlock()
		for ; from < len(all); from++ {
			if match(all[from]) {
				return all[from], from + 1
			}
		}
		if ended {
			t.Fatalf("output ended while waiting for %s", what)
		}
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", Patience, what)
		}
	}
}
