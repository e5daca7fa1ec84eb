package terminal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// ErrNone reports that a file isn't a terminal.
var ErrNone = errors.New("not a terminal")

// Keyboard is the input of a terminal, one key at a time.
type Keyboard struct {
	file   *os.File
	before unix.Termios
}

// Open switches a terminal to single keys. The caller closes the keyboard.
func Open(f *os.File) (*Keyboard, error) {
	before, err := unix.IoctlGetTermios(int(f.Fd()), getTermios)
	if err != nil {
		return nil, ErrNone
	}
	k := &Keyboard{file: f, before: *before}
	single := *before
	single.Lflag &^= unix.ICANON | unix.ECHO
	single.Cc[unix.VMIN], single.Cc[unix.VTIME] = 1, 0
	single.Cc[unix.VSUSP] = disabled // a suspended view would leave its page on the screen
	if err := unix.IoctlSetTermios(int(f.Fd()), setTermios, &single); err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	return k, nil
}

// Close restores the terminal.
func (k *Keyboard) Close() error {
	return unix.IoctlSetTermios(int(k.file.Fd()), setTermios, &k.before)
}

// Read calls press for each key, until ctx ends or the terminal is closed. Then it returns nil.
func (k *Keyboard) Read(ctx context.Context, press func(Key)) error {
	ended, wake, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ended.Close()
	woken := make(chan struct{})
	undo := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = wake.Close() // poll sees it
	})
	defer func() {
		if undo() {
			_ = wake.Close()
			return
		}
		<-woken
	}()
	var b [64]byte
	for {
		fds := []unix.PollFd{{Fd: int32(k.file.Fd()), Events: unix.POLLIN}, {Fd: int32(ended.Fd()), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil {
			return err
		}
		if fds[1].Revents != 0 {
			return nil
		}
		n, err := k.file.Read(b[:])
		if n > 0 {
			parse(b[:n], press)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, unix.EIO): // somebody closed the window
			return nil
		case err != nil:
			return err
		}
	}
}

// Key is a character, or one of the keys below.
type Key rune

// The keys that are no characters.
const (
	Up Key = -1 - iota
	Down
	PageUp
	PageDown
	Home
	End
	Escape
	Unknown
)

// sequences are what terminals send for keys without a character.
var sequences = map[string]Key{
	"[A": Up, "[B": Down, "OA": Up, "OB": Down, "[5~": PageUp, "[6~": PageDown, "[H": Home, "[F": End, "OH": Home, "OF": End, "[1~": Home, "[4~": End,
}

// parse calls press for each key of what a terminal sent at once.
func parse(b []byte, press func(Key)) {
	for len(b) > 0 {
		if b[0] != 0x1b {
			r, size := utf8.DecodeRune(b)
			press(Key(r))
			b = b[size:]
			continue
		}
		n := sequence(b[1:])
		key, ok := sequences[string(b[1:1+n])]
		switch {
		case n == 0:
			key = Escape
		case !ok:
			key = Unknown
		}
		press(key)
		b = b[1+n:]
	}
}

// sequence returns the length of a terminal's sequence behind its escape; 0 if there is none.
func sequence(b []byte) int {
	switch {
	case len(b) > 1 && b[0] == 'O':
		return 2
	case len(b) == 0 || b[0] != '[':
		return 0
	}
	for i := 1; i < len(b); i++ {
		if b[i] >= 0x40 && b[i] <= 0x7e {
			return i + 1
		}
	}
	return len(b)
}
