package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestSecondSignalEndsAHostThatNobodyReads: a host cannot log its end where the reader of its lines
// is stuck, and still has to end with all its processes and leave nothing.
func TestSecondSignalEndsAHostThatNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	temp, err := os.MkdirTemp("/tmp", "") // short: unix addresses are
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	cmd := exec.Command("sidereal", "up", "-i", "1", "--log-format", "json", "--admin-addr", "off",
		"--addr", fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)))
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitLine(t, r, `"message":"host ready"`)
	fill(t, w)
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	defer cmd.Process.Kill()
	testkit.Until(t, "the host ends", func() bool {
		cmd.Process.Signal(syscall.SIGTERM) // again: one that comes while the first is not handled yet is none
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func awaitLine(t *testing.T, r *os.File, text string) {
	t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(r); lines.Scan(); {
		if strings.Contains(lines.Text(), text) {
			return
		}
	}
	t.Fatalf("no line with %s", text)
}

// fill writes to a pipe until it takes no more, and closes our end.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	defer w.Close()
	// Another description of the same pipe: that it does not block must not hold for the child's.
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	for err == nil {
		_, err = syscall.Write(fd, []byte("\n"))
	}
	if err != syscall.EAGAIN {
		t.Fatal(err)
	}
}
