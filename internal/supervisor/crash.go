package supervisor

import (
	"bytes"
	"strings"
)

// crash collects the lines that a Go program writes when it panics, so that they make one record.
type crash struct {
	lines [][]byte
	bytes int  // of the lines
	sure  bool // a goroutine's stack has begun: a program that prints "panic: " itself may write none
}

// maxCrash limits the bytes of a crash. The stack of the goroutine that panicked comes first.
const maxCrash = 16 << 10

// take reports whether a line belongs to a crash, and keeps it.
func (c *crash) take(line []byte) bool {
	if len(c.lines) == 0 && !bytes.HasPrefix(line, []byte("panic: ")) && !bytes.HasPrefix(line, []byte("fatal error: ")) {
		return false
	}
	if len(c.lines) > 0 && !c.continues(line) {
		return false
	}
	c.sure = c.sure || bytes.HasPrefix(line, []byte("goroutine "))
	if c.bytes += len(line) + 1; c.bytes <= maxCrash {
		c.lines = append(c.lines, bytes.Clone(line))
	}
	return true
}

// continues reports whether a line may stand in what Go writes after the first line of a crash.
func (c *crash) continues(line []byte) bool {
	if len(line) == 0 || line[0] == '\t' || line[len(line)-1] == ')' || line[len(line)-1] == ':' {
		return true // a place, a call, or "goroutine 1 [running]:"
	}
	for _, begin := range []string{"goroutine ", "created by ", "[signal ", "panic: ", "fatal error: ", "...", "runtime stack", "exit status ", "[recovered]"} {
		if bytes.HasPrefix(line, []byte(begin)) {
			return true
		}
	}
	return false
}

// end returns what was collected and forgets it. If it wasn't a crash, stack is empty, and lines
// are ordinary ones.
func (c *crash) end() (message, stack string, lines [][]byte) {
	lines, sure := c.lines, c.sure
	*c = crash{}
	if !sure {
		return "", "", lines
	}
	return string(lines[0]), strings.TrimSpace(string(bytes.Join(lines[1:], []byte("\n")))), nil
}
