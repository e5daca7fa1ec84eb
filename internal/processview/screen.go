package processview

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Screen is what a view is written to.
type Screen struct {
	io.Writer
	Width  int  // in characters; 0: no end, for files and pipes
	Height int  // in lines, for Draw; 0: no end
	Color  bool // with escapes for colors
}

// ScreenOf is a file of this process as a screen: with a size where it is a terminal.
func ScreenOf(f *os.File, color bool) Screen {
	s := Screen{Writer: f, Color: color}
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		s.Width, s.Height = int(size.Col), int(size.Row)
	}
	return s
}

// A terminal's second screen, which leaves what the first one has as it is, without a cursor.
const (
	OpenScreen  = "\x1b[?1049h\x1b[?25l"
	CloseScreen = "\x1b[?25h\x1b[?1049l"
)

// Draw puts a page in place of what the terminal shows, in one write and without flickering. What
// does not fit is counted.
func (s Screen) Draw(page []byte) error {
	lines := bytes.Split(bytes.TrimSuffix(page, []byte{'\n'}), []byte{'\n'})
	if s.Height > 1 && len(lines) > s.Height {
		more := len(lines) - s.Height + 1
		lines = append(lines[:s.Height-1:s.Height-1], fmt.Appendf(nil, "… %d more lines", more))
	}
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.Write(line)
		b.WriteString("\x1b[K") // clear what stood behind it
	}
	b.WriteString("\x1b[J")
	_, err := s.Write(b.Bytes())
	return err
}
