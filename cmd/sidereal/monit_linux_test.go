package main

import (
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// shown collects what a program draws on a terminal.
type shown struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *shown) follow(screen *os.File) {
	var b [4096]byte
	for {
		n, err := screen.Read(b[:])
		s.mu.Lock()
		s.text.Write(b[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// has reports whether all texts have been drawn, and forgets them.
func (s *shown) has(texts ...string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range texts {
		if !strings.Contains(s.text.String(), text) {
			return false
		}
	}
	s.text.Reset()
	return true
}

// TestMonit drives the live view over a terminal, and ends it in each way.
func TestMonit(t *testing.T) {
	temp, err := os.MkdirTemp("/tmp", "") // short: unix addresses are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	env := append(os.Environ(), "SIDEREAL_HOME="+temp+"/h", "SIDEREAL_ADMIN_ADDR=off", "GORACE=atexit_sleep_ms=0")
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("sidereal", args...)
		cmd.Env, cmd.Dir = env, temp
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	script := "#!/bin/sh\ntrap 'exit 0' INT TERM\necho \"I am $name\"\nwhile :; do sleep 0.05; done\n"
	if err := os.WriteFile(temp+"/loop.sh", []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	run("start", "loop.sh", "--name", "first")
	t.Cleanup(func() { run("kill") })
	run("start", "loop.sh", "--name", "second")

	for name, end := range map[string]func(screen *os.File, p *os.Process){
		"q":        func(screen *os.File, _ *os.Process) { screen.WriteString("q") },
		"Ctrl-C":   func(_ *os.File, p *os.Process) { p.Signal(unix.SIGINT) },
		"its stop": func(_ *os.File, p *os.Process) { p.Signal(unix.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			screen, tty := testkit.Terminal(t)
			before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sidereal", "monit")
			cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, temp, tty, tty, tty
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			var s shown
			followed := make(chan struct{})
			go func() {
				defer close(followed)
				s.follow(screen)
			}()
			testkit.Until(t, "the first page", func() bool { return s.has("\x1b[?1049h", "first", "second", "2 processes, 2 online") })
			testkit.Until(t, "the logs of the first", func() bool { return s.has("I am first") })
			press := func(keys string) {
				if _, err := screen.WriteString(keys); err != nil {
					t.Error(err)
				}
			}
			press("\x1b[B")
			testkit.Until(t, "the logs of the second", func() bool { return s.has("I am second") })
			press("r")
			testkit.Until(t, "the question", func() bool { return s.has("restart second (1)? y or n") })
			press("y")
			testkit.Until(t, "the restart", func() bool { return s.has("restart 1: done") })
			end(screen, cmd.Process)
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
			testkit.Until(t, "the first screen", func() bool { return s.has("\x1b[?1049l") })
			after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
			if err != nil || *after != *before {
				t.Errorf("the terminal has %+v, had %+v, %v", after, before, err)
			}
			tty.Close()
			screen.Close()
			<-followed
		})
	}
}
