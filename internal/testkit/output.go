package testkit

import (
	"bytes"
	"strings"
	"sync"
)

// Output collects what is written to it, as a log or a command's output, and can be read meanwhile.
// Its zero value is empty.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends p; it never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// String returns all that was written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Count returns how often a text was written.
func (o *Output) Count(text string) int { return strings.Count(o.String(), text) }
