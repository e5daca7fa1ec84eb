//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// grace is the time a run has to end after it was asked to, before its process group is killed.
const grace = 10 * time.Second

// run is one command that runs tests, under a condition.
type run struct {
	round     int
	condition condition
	command   []string
	clone     string // where to clone the repository first; empty: run here
	revision  string // of the clone
}

func (r run) name() string { return fmt.Sprintf("round %d, %s", r.round, r.condition.name) }

// do runs the command for as long as ctx and limit allow, and reports the tests that ended. A run
// that the end of ctx interrupts reports no failure for the tests that had not ended.
func (r run) do(ctx context.Context, limit time.Duration, to *report) error {
	env := append(os.Environ(), "TESTKIT_REQUIRE=1")
	if r.condition.cold {
		cache, err := os.MkdirTemp("", "flakes-cache-")
		if err != nil {
			return fmt.Errorf("make an empty build cache: %w", err)
		}
		defer os.RemoveAll(cache)
		env = append(env, "GOCACHE="+cache)
	}
	if r.clone != "" {
		if err := clone(ctx, r.clone, r.revision); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		defer os.RemoveAll(r.clone)
	}
	command := r.command
	if r.condition.oneCore {
		command = append([]string{"taskset", "-c", "0"}, command...)
	}
	if r.condition.busy {
		defer occupy(max(2, runtime.NumCPU()))()
	}

	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(limited, command[0], command[1:]...)
	cmd.Dir, cmd.Env = r.clone, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	stderr := &tail{limit: 256 << 10}
	cmd.Stderr = stderr
	events := newReader(stderr, func() bool { return ctx.Err() != nil })
	cmd.Stdout = events
	began := time.Now()
	err := cmd.Run()
	events.close()
	if limited.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what of the group is left, if anything
	}
	var exit *exec.ExitError
	if err != nil && cmd.Process == nil && ctx.Err() == nil {
		return fmt.Errorf("start %s: %w", strings.Join(command, " "), err)
	} else if err != nil && cmd.Process != nil && !errors.As(err, &exit) && limited.Err() == nil {
		return fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	interrupted := ctx.Err() != nil
	failed := err != nil && !interrupted
	if failed && !events.results.failed() {
		why := "the command failed: " + err.Error()
		if limited.Err() != nil {
			why = fmt.Sprintf("the command took longer than %v", limit)
		}
		events.results.commandFailed(strings.Join(r.command, " "), why, stderr.String())
	}
	return to.add(r, &events.results, time.Since(began), interrupted)
}

// clone makes a fresh clone of the repository around the working folder.
func clone(ctx context.Context, dir, revision string) error {
	origin, err := exec.CommandContext(ctx, "git", "rev-parse", "--git-common-dir").Output()
	if err != nil {
		return fmt.Errorf("find the repository to clone: %w", err)
	}
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--verify", revision+"^{commit}").Output()
	if err != nil {
		return fmt.Errorf("no commit %q in the repository: %w", revision, err)
	}
	from, err := filepath.Abs(strings.TrimSpace(string(origin)))
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"clone", "--quiet", "--no-checkout", from, dir},
		{"-C", dir, "-c", "advice.detachedHead=false", "checkout", "--quiet", strings.TrimSpace(string(commit))},
	} {
		if out, err := exec.CommandContext(ctx, "git", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// tail keeps the last bytes that are written to it. Safe for concurrent use.
type tail struct {
	limit int

	mu   sync.Mutex // guards text
	text []byte
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if extra := len(t.text) - t.limit; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
