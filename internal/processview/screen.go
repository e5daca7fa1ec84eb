package processview

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Screen is the destination of a view.
type Screen struct {
	io.Writer
	Width  int  // in characters; 0: unlimited, for files and pipes
	Height int  // in lines, for Draw; 0: unlimited
	Color  bool // with escapes for colors
}

// ScreenOf returns a file of this process as a screen, with a size if it is a terminal.
func ScreenOf(f *os.File, color bool) Screen {
	s := Screen{Writer: f, Color: color}
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		s.Width, s.Height = int(size.Col), int(size.Row)
	}
	return s
}

// The escapes for a terminal's second screen, which keeps the first one's text, without a cursor.
const (
	OpenScreen  = "\x1b[?1049h\x1b[?25l"
	CloseScreen = "\x1b[?25h\x1b[?1049l"
)

// Draw replaces the terminal's page in one write, without flickering. It shows the number of
// lines that don't fit.
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
		b.WriteString("\x1b[K") // clear the rest of the line
	}
	b.WriteString("\x1b[J")
	_, err := s.Write(b.Bytes())
	return err
}
