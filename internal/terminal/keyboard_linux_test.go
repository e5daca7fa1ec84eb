package terminal

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func settings(t *testing.T, tty *os.File) unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

func TestKeysAndRestore(t *testing.T) {
	screen, tty := testkit.Terminal(t)
	before := settings(t, tty)
	k, err := Open(tty)
	if err != nil {
		t.Fatal(err)
	}
	if s := settings(t, tty); s.Lflag&(unix.ICANON|unix.ECHO) != 0 || s.Lflag&unix.ISIG == 0 {
		t.Errorf("flags %x", s.Lflag)
	}
	if _, err := screen.WriteString("j\x1b[Bq"); err != nil { // one write arrives as one
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var got []Key
	if err := k.Read(ctx, func(key Key) {
		if got = append(got, key); key == 'q' {
			stop()
		}
	}); err != nil {
		t.Error(err)
	}
	if !slices.Equal(got, []Key{'j', Down, 'q'}) {
		t.Errorf("%v", got)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	if s := settings(t, tty); s != before {
		t.Errorf("%+v, before %+v", s, before)
	}
}

func TestClosedTerminalEndsRead(t *testing.T) {
	screen, tty := testkit.Terminal(t)
	k, err := Open(tty)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- k.Read(t.Context(), func(Key) {}) }()
	if err := screen.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNoTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(f); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string][]Key{
		"aé": {'a', 'é'}, "\x1b": {Escape}, "\x1b[A\x1bOB": {Up, Down}, "\x1b[5~\x1b[6~\x1b[H\x1b[F": {PageUp, PageDown, Home, End},
		"\x1b[1;5Cx": {Unknown, 'x'}, "\x1b[": {Unknown}, "\x1b\x1b": {Escape, Escape}, "\x1bq": {Escape, 'q'}, "\xff": {'\uFFFD'}, "\x1bO": {Escape, 'O'},
	} {
		var got []Key
		parse([]byte(text), func(k Key) { got = append(got, k) })
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
