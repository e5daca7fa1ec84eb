package logfile

import (
	"bytes"
	"io"
	"os"

	"github.com/sidereal-io/sidereal/internal/safefile"
)

// maxTail is how much of a file's end is read for its last lines.
const maxTail = 4 << 20

// Tail returns the last lines of a file, at most n, without their breaks. A file that is not there
// has none.
func Tail(path string, n int) (lines []string) {
	f, err := safefile.Open(path, os.O_RDONLY, 0)
	if err != nil || n <= 0 {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	var end []byte
	const block = 64 << 10
	for at := info.Size(); at > 0 && len(end) < maxTail && bytes.Count(end, []byte{'\n'}) <= n; {
		size := min(at, block)
		at -= size
		b := make([]byte, size)
		if _, err := f.ReadAt(b, at); err != nil && err != io.EOF {
			return nil
		}
		end = append(b, end...)
	}
	all := bytes.Split(bytes.TrimSuffix(end, []byte{'\n'}), []byte{'\n'})
	if len(end) == 0 {
		return nil
	}
	for _, line := range all[max(0, len(all)-n):] {
		lines = append(lines, string(bytes.TrimSuffix(line, []byte{'\r'})))
	}
	return lines
}
