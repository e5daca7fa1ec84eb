package supervisor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"sync"

	"github.com/sidereal-io/sidereal/internal/loghandler"
)

// maxLine is the longest line that stays whole. Longer lines are cut into pieces of this length.
const maxLine = 64 << 10

// output merges the lines of all children into one writer.
type output struct {
	mu  sync.Mutex // one Write at a time, a line each
	w   io.Writer
	cfg *Config
}

// copy copies the lines of a process until r ends.
func (o *output) copy(name string, r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLine)
	for cut := false; ; {
		line, err := lines.ReadSlice('\n')
		more := errors.Is(err, bufio.ErrBufferFull)
		if len(line) > 0 {
			o.write(name, bytes.TrimRight(line, "\r\n"), !cut && !more)
		}
		if cut = more; err != nil && !more {
			return
		}
	}
}

// Print writes lines of a process to Config.Output, like the lines of processes without a Spec.Stdout.
func (s *Supervisor) Print(name string, lines []byte) {
	for line := range bytes.Lines(lines) {
		s.output.write(name, bytes.TrimRight(line, "\r\n"), bytes.HasSuffix(line, []byte("\n")))
	}
}

// write writes a line, or a piece of a line that is too long.
func (o *output) write(name string, line []byte, whole bool) {
	var b []byte
	switch {
	case o.cfg.Prefix && o.cfg.Color:
		b = fmt.Appendf(nil, "\x1b[%dm%-9s│\x1b[0m %s\n", color(name), name, line)
	case o.cfg.Prefix:
		b = fmt.Appendf(nil, "%-9s│ %s\n", name, line)
	case whole && len(line) > 0 && line[0] == '{':
		b = append(bytes.Clone(line), '\n')
	default:
		var wrapped bytes.Buffer
		slog.New(loghandler.New(&wrapped, slog.LevelInfo)).Info(string(line), "process", name)
		b = wrapped.Bytes()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.w.Write(b) // an error means that nobody reads, and there is no place left to report it
}

// color gives each process one of six terminal colors, the same at every start.
func color(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return 31 + int(h.Sum32()%6)
}
