package logfile

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/loghandler"
)

func newFile(t *testing.T, r Rotation) *File {
	t.Helper()
	l := &File{path: filepath.Join(t.TempDir(), "deep", "a.log"), rotation: r, log: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() {
		if l.f != nil {
			l.f.Close()
		}
	})
	return l
}

// files are the contents of a log file and of those put aside.
func files(t *testing.T, l *File) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(filepath.Dir(l.path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(filepath.Dir(l.path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(raw)
	}
	return out
}

func TestLogFilesRotateBySize(t *testing.T) {
	l := newFile(t, Rotation{MaxSize: 10, Keep: 2})
	for i := range 5 {
		fmt.Fprintf(l, "line %d\n", i) // 7 bytes: two don't fit
	}
	want := map[string]string{"a.log": "line 4\n", "a.log.1": "line 3\n", "a.log.2": "line 2\n"}
	if got := files(t, l); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
	fmt.Fprint(l, strings.Repeat("x", 100)) // longer than all: it gets a file of its own, once
	if got := files(t, l); len(got["a.log"]) != 100 || got["a.log.1"] != "line 4\n" {
		t.Errorf("got %q", got)
	}
}

func TestLogFilesRotateByAge(t *testing.T) {
	l := newFile(t, Rotation{MaxAge: time.Hour, Keep: 3})
	fmt.Fprint(l, "old\n")
	long := time.Now().Add(-2 * time.Hour)
	l.begun = long
	if err := os.Chtimes(l.path, long, long); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(l, "new\n") // what is put aside is too old to be kept
	if got := files(t, l); fmt.Sprint(got) != fmt.Sprint(map[string]string{"a.log": "new\n"}) {
		t.Errorf("got %q", got)
	}
}

func TestLogFilesAreEmptiedAndOpenedAnew(t *testing.T) {
	l := newFile(t, Rotation{})
	fmt.Fprint(l, "one\n")
	if err := os.Rename(l.path, l.path+".moved"); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(l, "two\n")
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(l, "three\n")
	if got := files(t, l); got["a.log.moved"] != "one\ntwo\n" || got["a.log"] != "three\n" {
		t.Errorf("got %q", got)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(l, "four\n")
	if got := files(t, l); got["a.log"] != "four\n" {
		t.Errorf("got %q", got)
	}
}

func TestLogFileThatCannotBeWrittenLosesLinesOnly(t *testing.T) {
	var said strings.Builder
	l := &File{path: filepath.Join("/dev/null", "a.log"), log: slog.New(loghandler.New(&said, slog.LevelDebug))}
	for range 3 {
		if _, err := l.Write([]byte("line\n")); err == nil {
			t.Error("written")
		}
	}
	if got := strings.Count(said.String(), "can't be written"); got != 1 {
		t.Errorf("said %d times: %s", got, said.String())
	}
}

func TestSharedLogFileIsOpenOnce(t *testing.T) {
	all := NewSet(Rotation{}, slog.New(slog.DiscardHandler), nil)
	path := filepath.Join(t.TempDir(), "a.log")
	one, two := all.Use(path), all.Use(path)
	if one != two {
		t.Error("two writers of one file")
	}
	fmt.Fprint(one, "x\n")
	all.Release(one)
	if two.f == nil {
		t.Error("closed for who still uses it")
	}
	all.Release(two)
	if two.f != nil || len(all.open) != 0 {
		t.Error("still open")
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := Tail(path, 3); got != nil {
		t.Errorf("of no file: %q", got)
	}
	long := strings.Repeat("x", 100<<10)
	for _, c := range []struct {
		text string
		n    int
		want []string
	}{
		{"", 3, nil},
		{"a\nb\nc\n", 2, []string{"b", "c"}},
		{"a\nb\nc", 9, []string{"a", "b", "c"}},
		{"a\n\nb\r\n", 3, []string{"a", "", "b"}},
		{long + "\nend\n", 1, []string{"end"}},
		{"begin\n" + long + "\nend\n", 2, []string{long, "end"}},
	} {
		write(c.text)
		if got := Tail(path, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%.20q, %d lines: got %.60q", c.text, c.n, got)
		}
	}
}
