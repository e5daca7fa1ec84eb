package supervisor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"sync"

	"github.com/rs/zerolog"
)

// maxLine is the longest line that is kept whole; longer ones are cut into pieces of it.
const maxLine = 64 << 10

// output merges the lines of all children into one writer.
type output struct {
	mu  sync.Mutex // one Write at a time, a line each
	w   io.Writer
	cfg *Config
}

// copy passes the lines of a process on until r ends.
func (o *output) copy(name string, r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			o.write(name, bytes.TrimRight(line, "\r\n"))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (o *output) write(name string, line []byte) {
	var b []byte
	switch {
	case o.cfg.Prefix && o.cfg.Color:
		b = fmt.Appendf(nil, "\x1b[%dm%-9s│\x1b[0m %s\n", color(name), name, line)
	case o.cfg.Prefix:
		b = fmt.Appendf(nil, "%-9s│ %s\n", name, line)
	case len(line) > 0 && line[0] == '{':
		b = append(bytes.Clone(line), '\n')
	default:
		var wrapped bytes.Buffer
		log := zerolog.New(&wrapped)
		log.Info().Str("process", name).Msg(string(line))
		b = wrapped.Bytes()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.w.Write(b) // an error means that nobody reads: there is nowhere left to say so
}

// color gives each process one of six terminal colors, the same at every start.
func color(name string) int {
	h := fnv.New32a()
	h.Write([]byte(name))
	return 31 + int(h.Sum32()%6)
}
