package harness

import (
	"io"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// grace is how long the programs of a shell may take to end.
const grace = 15 * time.Second

// Shell is a bash that a test types into, and the programs that it runs.
type Shell struct {
	*Process
	keys io.WriteCloser
}

// StartShell starts a shell in dir with env added to this process's own.
func StartShell(t testing.TB, name, dir string, env []string) *Shell {
	t.Helper()
	cmd := exec.Command("bash")
	cmd.Dir, cmd.Env = dir, append(cmd.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &Shell{start(t, name, cmd), keys}
	// The shell waits for its program, which gets the signals as well.
	s.Type(t, "trap : TERM INT")
	t.Cleanup(func() {
		keys.Close()
		s.signal(t, syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(grace):
			s.signal(t, syscall.SIGKILL) // a loop of the shell's own doesn't end otherwise
			s.Wait(t)
		}
	})
	return s
}

// Type types a line.
func (s *Shell) Type(t testing.TB, line string) {
	t.Helper()
	if _, err := io.WriteString(s.keys, line+"\n"); err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
}

// Interrupt does what Control-C does.
func (s *Shell) Interrupt(t testing.TB) { s.signal(t, syscall.SIGINT) }

func (s *Shell) signal(t testing.TB, sig syscall.Signal) {
	if err := syscall.Kill(-s.PID(), sig); err != nil && err != syscall.ESRCH {
		t.Fatalf("%v to %s: %v", sig, s.Name, err)
	}
}
