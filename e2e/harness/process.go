package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that a test started. It ends with the test at the latest.
type Process struct {
	Name   string
	Output *Lines
	cmd    *exec.Cmd
	done   chan struct{} // closed once the process was reaped
	err    error         // of Wait, after done
}

// Root is the repository's root folder, somewhere above the one that the test runs in.
func Root() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	panic("harness: not run inside the repository")
}

// Start runs a program in dir (the root when empty) with env added to this process's own.
func Start(t testing.TB, name, dir string, env []string, program string, args ...string) *Process {
	t.Helper()
	cmd := exec.Command(program, args...)
	if cmd.Dir = dir; dir == "" {
		cmd.Dir = Root()
	}
	cmd.Env = append(os.Environ(), env...)
	return start(t, name, cmd)
}

// StartWithInput starts a program in a folder of the repository. Its input ends with the call of
// end.
func StartWithInput(t testing.TB, name, dir, program string, args ...string) (p *Process, end func()) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = filepath.Join(Root(), dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p = start(t, name, cmd)
	t.Cleanup(func() { stdin.Close() }) // before the process's own cleanup
	return p, func() { stdin.Close() }
}

func start(t testing.TB, name string, cmd *exec.Cmd) *Process {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	p := &Process{Name: name, Output: newLines(), cmd: cmd, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	writer.Close()
	var reads sync.WaitGroup
	reads.Go(func() { p.Output.collect(reader) })
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.end(t)
		reader.Close() // a grandchild that outlived its parent must not hold the test
		reads.Wait()
		if t.Failed() {
			t.Logf("output of %s:\n%s", name, strings.Join(p.Output.All(), "\n"))
		}
	})
	return p
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process alone.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("%v to %s: %v", s, p.Name, err)
	}
}

// Wait returns the exit code once the process has ended by itself or by a signal sent before.
func (p *Process) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(Patience):
		t.Fatalf("%s did not end within %v", p.Name, Patience)
		return -1
	}
}

// Stop asks the process to end and waits for it.
func (p *Process) Stop(t testing.TB) int {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	return p.Wait(t)
}

// Kill ends the process without warning and waits for it.
func (p *Process) Kill(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGKILL)
	p.Wait(t)
}

// end is the last resort of the cleanup: TERM, and KILL when that takes too long.
func (p *Process) end(t testing.TB) {
	select {
	case <-p.done:
		return
	default:
	}
	p.cmd.Process.Signal(syscall.SIGCONT) // it may have been stopped
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(Patience):
		t.Errorf("%s had to be killed", p.Name)
		p.cmd.Process.Kill()
		<-p.done
	}
}

// KillPID kills a process that is a child of one the test started, such as a worker.
func KillPID(t testing.TB, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("refusing to kill pid %d", pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(fmt.Errorf("kill %d: %w", pid, err))
	}
}
