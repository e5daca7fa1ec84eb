package systemd

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestSockets opens a descriptor as systemd would pass it, under any number: those from 3 on are
// the test's own.
func TestSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(f.Fd()))
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	got, err := open(fd, 1, []string{"door"})
	if err != nil || len(got) != 1 || got[0].Name != "door" || got[0].Addr().String() != l.Addr().String() {
		t.Fatal(got, err)
	}
	got[0].Close()
	pipe := make([]int, 2)
	if err := syscall.Pipe(pipe); err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pipe[1])
	if _, err := open(pipe[0], 1, nil); err == nil {
		t.Error("a pipe is taken for a socket")
	}
}

func TestSocketsOfAnotherProcess(t *testing.T) {
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getppid()))
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_FDNAMES", "door")
	if got, err := Sockets(); got != nil || err != nil {
		t.Error(got, err)
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if _, left := os.LookupEnv(name); left {
			t.Errorf("children inherit %s", name)
		}
	}
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("LISTEN_FDS", "some")
	if _, err := Sockets(); err == nil {
		t.Error("LISTEN_FDS=some is taken")
	}
}

func TestNotify(t *testing.T) {
	if err := (Notifier{}).Say(Ready); err != nil {
		t.Error("nobody to speak to:", err)
	}
	for _, addr := range []string{filepath.Join(t.TempDir(), "notify"), "@sidereal-test-" + strconv.Itoa(os.Getpid())} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: addr, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", addr)
		n := OpenNotifier()
		if err := n.Say(Ready, "STATUS=fine"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		k, err := l.Read(b)
		if err != nil || string(b[:k]) != "READY=1\nSTATUS=fine" {
			t.Errorf("%q, %v", b[:k], err)
		}
		l.Close()
		if err := n.Say(Stopping); err == nil {
			t.Error("nobody listens, and that is no error")
		}
	}
}
