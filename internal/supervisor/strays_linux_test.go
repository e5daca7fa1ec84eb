package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func init() {
	// adopt <unix address> <file>: a supervisor that gets the orphans below it, of a child that
	// makes one.
	fakes["adopt"] = func(args []string) {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			panic(err)
		}
		self, _ := os.Executable()
		s, err := New(Config{Specs: []Spec{{Name: "a", Command: []string{self, "abandon", args[0], args[1]}}}})
		if err != nil {
			panic(err)
		}
		ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		if err := s.Run(ctx); err != nil {
			panic(err)
		}
	}
}

// TestOrphansAreReaped: as process 1 of a container a supervisor is given processes that it did not
// start.
func TestOrphansAreReaped(t *testing.T) {
	addr, conns := holders(t)
	command := fake(t, "adopt", addr, filepath.Join(t.TempDir(), "first"))
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "FAKE_CHILD=1", "GORACE=atexit_sleep_ms=0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	orphan := <-conns
	var pid int
	if _, err := fmt.Fscanln(orphan, &pid); err != nil {
		t.Fatal(err)
	}
	orphan.Close()                                                                                                     // it ends now
	testkit.Until(t, "the orphan is no zombie", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }) // a zombie can be signaled
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
