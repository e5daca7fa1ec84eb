package processview

import (
	"os"

	"golang.org/x/sys/unix"
)

// ScreenOf is a file of this process as a screen: with a width where it is a terminal.
func ScreenOf(f *os.File, color bool) Screen {
	s := Screen{Writer: f, Color: color}
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		s.Width = int(size.Col)
	}
	return s
}
