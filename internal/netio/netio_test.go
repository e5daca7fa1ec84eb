package netio

import (
	"errors"
	"io"
	"syscall"
	"testing"
)

// pair is a connected pair of sockets that don't block.
func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if err := syscall.SetNonblock(fd, true); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { syscall.Close(fds[0]) })
	return fds[0], fds[1]
}

func TestReadAndWriteNeverWait(t *testing.T) {
	a, b := pair(t)
	buf := make([]byte, 2*(32<<10))
	if _, err := Read(a, buf); err != syscall.EAGAIN {
		t.Fatalf("nothing is there: %v, want EAGAIN", err)
	}
	if n, err := Write(b, []byte("hello")); n != 5 || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
	if n, err := Read(a, buf); string(buf[:n]) != "hello" || err != nil {
		t.Fatalf("read %q, %v", buf[:n], err)
	}
	sent := 0
	for {
		n, err := Write(b, buf)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 { // full
			break
		}
		sent += n
	}
	for sent > 0 {
		n, err := Read(a, buf)
		if err != nil {
			t.Fatal(err)
		}
		sent -= n
	}
	if err := syscall.Close(b); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(a, buf); err != io.EOF {
		t.Fatalf("at the end: %v, want EOF", err)
	}
	if _, err := Write(a, buf); !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("write to nobody: %v, want EPIPE", err)
	}
}

func TestSilentUntilSomethingComesOrItEnds(t *testing.T) {
	a, b := pair(t)
	if !Silent(a) {
		t.Error("not silent at first")
	}
	if _, err := Write(b, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if Silent(a) {
		t.Error("silent with something to read")
	}
	if n, err := Read(a, make([]byte, 8)); n != 1 || err != nil {
		t.Fatalf("%d, %v: looking takes nothing", n, err)
	}
	if !Silent(a) {
		t.Error("not silent when all is read")
	}
	syscall.Close(b)
	if Silent(a) {
		t.Error("silent at the end")
	}
}
