package logfile

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/pidfile"
	"github.com/sidereal-io/sidereal/internal/safefile"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Each way of another user to have the daemon write to a file of root's, or to wait for ever.
func TestFilesThatAnotherUserHasReplaced(t *testing.T) {
	for name, plant := range map[string]func(t *testing.T, dir, secret string){
		"symbolic link": func(t *testing.T, dir, secret string) {
			must(t, os.Symlink(secret, filepath.Join(dir, "file")))
			must(t, os.Lchown(filepath.Join(dir, "file"), testkit.Stranger, testkit.Stranger))
		},
		"relative link": func(t *testing.T, dir, secret string) {
			must(t, os.Symlink("../secret", filepath.Join(dir, "file")))
			must(t, os.Lchown(filepath.Join(dir, "file"), testkit.Stranger, testkit.Stranger))
		},
		"link to a link": func(t *testing.T, dir, secret string) {
			for from, to := range map[string]string{"file": filepath.Join(dir, "next"), "next": secret} {
				must(t, os.Symlink(to, filepath.Join(dir, from)))
				must(t, os.Lchown(filepath.Join(dir, from), testkit.Stranger, testkit.Stranger))
			}
		},
		"link to itself": func(t *testing.T, dir, secret string) {
			must(t, os.Symlink("file", filepath.Join(dir, "file")))
			must(t, os.Lchown(filepath.Join(dir, "file"), testkit.Stranger, testkit.Stranger))
		},
		"hard link": func(t *testing.T, dir, secret string) { must(t, os.Link(secret, filepath.Join(dir, "file"))) },
		"FIFO":      func(t *testing.T, dir, secret string) { must(t, unix.Mkfifo(filepath.Join(dir, "file"), 0o666)) },
		"device": func(t *testing.T, dir, secret string) {
			if err := unix.Mknod(filepath.Join(dir, "file"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
				t.Skip(err)
			}
		},
		"folder": func(t *testing.T, dir, secret string) { must(t, os.Mkdir(filepath.Join(dir, "file"), 0o777)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, secret := testkit.StrangersFolder(t)
			plant(t, dir, secret)
			path := filepath.Join(dir, "file")
			l := &File{path: path, rotation: Rotation{MaxSize: 1, Keep: 2}, log: slog.New(slog.DiscardHandler)}
			if _, err := l.Write([]byte("line\n")); err == nil {
				t.Error("written to")
			}
			if err := l.Flush(); err == nil && name != "folder" {
				t.Error("emptied")
			}
			if err := pidfile.Write(path, 1); err == nil {
				t.Error("taken for a pid file")
			}
			if got := Tail(path, 5); got != nil {
				t.Errorf("read: %q", got)
			}
			pidfile.Remove(path, 1)
			if raw, err := os.ReadFile(secret); err != nil || string(raw) != "secret" {
				t.Errorf("root's file is now %q, %v", raw, err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Error(err)
			}
		})
	}
}

// The same by a link in the place of a folder.
func TestFoldersThatAnotherUserHasReplaced(t *testing.T) {
	dir, secret := testkit.StrangersFolder(t)
	roots := filepath.Join(filepath.Dir(dir), "roots")
	must(t, os.Mkdir(roots, 0o755))
	must(t, os.WriteFile(filepath.Join(roots, "a.log"), []byte("7"), 0o600))
	must(t, os.Symlink(roots, filepath.Join(dir, "logs")))
	must(t, os.Lchown(filepath.Join(dir, "logs"), testkit.Stranger, testkit.Stranger))
	for _, path := range []string{filepath.Join(dir, "logs", "a.log"), filepath.Join(dir, "logs", "new", "a.log"), filepath.Join(dir, "logs", "..", "logs", "a.log")} {
		if err := pidfile.Write(path, 1); !errors.Is(err, safefile.ErrUnsafe) {
			t.Errorf("%s: %v", path, err)
		}
		if err := safefile.Remove(path); !errors.Is(err, safefile.ErrUnsafe) && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s removed: %v", path, err)
		}
	}
	if entries, err := os.ReadDir(roots); err != nil || len(entries) != 1 {
		t.Errorf("in root's folder: %v, %v", entries, err)
	}
	_ = secret
}

// The link comes between two lines: what is put aside, and opened anew, is what lies in the folder
// itself.
func TestLinkThatComesBetweenTwoLines(t *testing.T) {
	dir, secret := testkit.StrangersFolder(t)
	l := &File{path: filepath.Join(dir, "logs", "a.log"), rotation: Rotation{MaxSize: 8, Keep: 2}, log: slog.New(slog.DiscardHandler)}
	fmt.Fprint(l, "one\n")
	defer func() { l.f.Close() }()
	must(t, os.Remove(l.path))
	must(t, os.Symlink(secret, l.path))
	must(t, os.Lchown(l.path, testkit.Stranger, testkit.Stranger))
	if err := l.Flush(); !errors.Is(err, safefile.ErrUnsafe) && err == nil {
		t.Error("emptied")
	}
	fmt.Fprint(l, "two two two\n") // puts the link aside
	if raw, err := os.ReadFile(secret); err != nil || string(raw) != "secret" {
		t.Errorf("root's file is now %q, %v", raw, err)
	}
	if target, err := os.Readlink(l.path + ".1"); err != nil || target != secret {
		t.Errorf("put aside: %q, %v", target, err)
	}
	if raw, err := os.ReadFile(l.path); err != nil || string(raw) != "two two two\n" {
		t.Errorf("%q, %v", raw, err)
	}
}

func TestFilesThatAreFine(t *testing.T) {
	dir, _ := testkit.StrangersFolder(t)
	top := filepath.Dir(dir)
	release := filepath.Join(dir, "releases", "7")
	must(t, os.MkdirAll(release, 0o755))
	for _, of := range []string{filepath.Join(dir, "releases"), release} {
		must(t, os.Lchown(of, testkit.Stranger, testkit.Stranger))
	}
	must(t, os.Symlink("releases/7", filepath.Join(dir, "current")))
	must(t, os.Lchown(filepath.Join(dir, "current"), testkit.Stranger, testkit.Stranger))
	must(t, os.Symlink(release, filepath.Join(top, "admins")))
	must(t, os.Mkdir(filepath.Join(top, "all"), 0o777))
	must(t, os.Chmod(filepath.Join(top, "all"), 0o777|os.ModeSticky))
	for _, path := range []string{
		filepath.Join(dir, "a.log"), filepath.Join(dir, "current", "a.log"), filepath.Join(dir, "new", "folder", "a.log"),
		filepath.Join(top, "admins", "b.log"), filepath.Join(top, "all", "a.log"),
	} {
		l := &File{path: path, log: slog.New(slog.DiscardHandler)}
		fmt.Fprint(l, "line\n")
		if got := Tail(path, 1); len(got) != 1 || got[0] != "line" {
			t.Errorf("%s: %q", path, got)
		}
		if l.f != nil {
			l.f.Close()
		}
	}
	planted := filepath.Join(top, "all", "b.log")
	must(t, os.WriteFile(planted, nil, 0o666))
	must(t, os.Lchown(planted, testkit.Stranger, testkit.Stranger))
	if _, err := safefile.Open(planted, os.O_WRONLY, 0); !errors.Is(err, safefile.ErrUnsafe) {
		t.Errorf("a file that somebody else has made for our lines: %v", err)
	}
}

// In a folder of our own anything goes that the operator has put there, and nothing waits.
func TestPipesAndDevicesOfTheOperator(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	must(t, unix.Mkfifo(fifo, 0o600))
	if _, err := safefile.Open(fifo, os.O_WRONLY|os.O_APPEND, 0); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("a FIFO without reader: %v", err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0)
	must(t, err)
	defer reader.Close()
	l := &File{path: fifo, rotation: Rotation{MaxSize: 1, Keep: 1}, log: slog.New(slog.DiscardHandler)}
	for range 3 {
		fmt.Fprint(l, "line\n")
	}
	defer func() { l.f.Close() }()
	b := make([]byte, 64)
	if n, err := reader.Read(b); err != nil || string(b[:n]) != "line\nline\nline\n" {
		t.Errorf("%q, %v", b[:n], err)
	}
	if _, err := os.Stat(fifo + ".1"); err == nil {
		t.Error("a FIFO was put aside")
	}
	null := &File{path: "/dev/null", log: slog.New(slog.DiscardHandler)}
	if _, err := null.Write([]byte("line\n")); err != nil {
		t.Error(err)
	}
	null.f.Close()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	std, err := safefile.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	defer std.Close()
	if _, err := std.WriteString("line"); err != nil {
		t.Error(err)
	}
	if n, err := r.Read(b); err != nil || string(b[:n]) != "line" {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// A log file that can't be put aside is not tried, and complained of, at each line.
func TestLogFileThatCannotBePutAside(t *testing.T) {
	var said strings.Builder
	dir := t.TempDir()
	l := &File{path: filepath.Join(dir, "a.log"), rotation: Rotation{MaxSize: 100, Keep: 1}, log: slog.New(loghandler.New(&said, slog.LevelDebug))}
	must(t, os.Mkdir(l.path+".1", 0o700)) // a file doesn't replace a folder
	for range 100 {
		fmt.Fprint(l, "123456789\n")
	}
	defer l.f.Close()
	if got := strings.Count(said.String(), "can't be rotated"); got > 10 {
		t.Errorf("said %d times for 1000 bytes", got)
	}
	if got := len(Tail(l.path, 1000)); got != 100 {
		t.Errorf("%d lines of 100", got)
	}
}
