package supervisor

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

const (
	// pauseTime is how long a piece of a line waits for its rest. A prompt has no rest.
	pauseTime = 200 * time.Millisecond

	// firstRead is the buffer of a process that writes little, as most do.
	firstRead = 4 << 10
)

// stream is our end of a pipe that a process writes to.
type stream struct {
	*os.File
	until atomic.Int64 // when reading ends, as unix nanoseconds; 0: at end of file
}

// endBy ends the reading at a time: the process has ended, and whatever else holds the pipe isn't
// ours.
func (r *stream) endBy(t time.Time) {
	r.until.Store(t.UnixNano())
	r.SetReadDeadline(t)
}

// copyLines copies what a process writes to w, in whole lines if they come whole and in time. One
// Write takes all that is there, so that a process that writes much costs little for each line. If
// w fails, the output is lost: the process isn't at fault, and isn't held up.
func (r *stream) copyLines(w io.Writer) {
	buf := make([]byte, firstRead)
	held := 0 // bytes in buf that are a piece of a line
	for {
		r.expect(held > 0)
		n, err := r.Read(buf[held:])
		held += n
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && r.until.Load() == 0: // a pause
			held = flush(w, buf, held, held)
		case err != nil:
			flush(w, buf, held, held)
			return
		default:
			end := bytes.LastIndexByte(buf[:held], '\n') + 1
			if full := held == len(buf); full && end == 0 && len(buf) == maxLine {
				end = held
			} else if full && len(buf) < maxLine {
				buf = append(buf, make([]byte, 3*len(buf))...)
			}
			held = flush(w, buf, held, end)
		}
	}
}

// flush writes the first end bytes, moves the rest to the front, and returns the length of the
// rest.
func flush(w io.Writer, buf []byte, held, end int) int {
	if end > 0 {
		_, _ = w.Write(buf[:end]) // see copyLines
	}
	return copy(buf, buf[end:held])
}

// expect sets how long the next read may take: with a piece of a line held, not long.
func (r *stream) expect(rest bool) {
	var t time.Time
	if rest {
		t = time.Now().Add(pauseTime)
	}
	r.SetReadDeadline(t)
	if until := r.until.Load(); until != 0 { // endBy may have set it just before
		r.SetReadDeadline(time.Unix(0, until))
	}
}
