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

// copy copies the lines of a process until r ends. Lines of JSON don't interrupt a crash: another
// goroutine may still log.
func (o *output) copy(name string, r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLine)
	var c crash
	defer func() { o.writeCrash(name, &c) }()
	for cut := false; ; {
		line, err := lines.ReadSlice('\n')
		more := errors.Is(err, bufio.ErrBufferFull)
		if text, whole := bytes.TrimRight(line, "\r\n"), !cut && !more; len(line) > 0 && (o.cfg.Prefix || !whole || !c.take(text)) {
			if !bytes.HasPrefix(text, []byte("{")) {
				o.writeCrash(name, &c)
			}
			o.write(name, text, whole)
		}
		if cut = more; err != nil && !more {
			return
		}
	}
}

// Print writes lines of a process to Config.Output, like the lines of processes without a
// Spec.Stdout.
func (s *Supervisor) Print(name string, lines []byte) {
	for line := range bytes.Lines(lines) {
		s.output.write(name, bytes.TrimRight(line, "\r\n"), bytes.HasSuffix(line, []byte("\n")))
	}
}

// writeCrash writes a crash as one record, and whatever else was collected as it came.
func (o *output) writeCrash(name string, c *crash) {
	message, stack, lines := c.end()
	for _, line := range lines {
		o.write(name, line, true)
	}
	if message == "" {
		return
	}
	var record bytes.Buffer
	o.wrapper(&record).Error(message, "process", name, "stack", stack)
	o.put(record.Bytes())
}

// wrapper makes the logger of lines that the supervisor wraps.
func (o *output) wrapper(w io.Writer) *slog.Logger {
	if o.cfg.Host == "" {
		return slog.New(loghandler.New(w, slog.LevelInfo))
	}
	return slog.New(loghandler.New(w, slog.LevelInfo, slog.String("host", o.cfg.Host)))
}

func (o *output) put(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.w.Write(b) // an error means that nobody reads, and there is no place left to report it
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
		o.wrapper(&wrapped).Info(string(line), "process", name)
		b = wrapped.Bytes()
	}
	o.put(b)
}

// color gives each process one of six terminal colors, the same at every start.
func color(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return 31 + int(h.Sum32()%6)
}
