//go:build unix

package testkit

import (
	"bufio"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Redis is a redis-server process of one test, on a port of 127.0.0.1, which keeps nothing on disk. Its methods are for
// the test's own goroutine.
type Redis struct {
	t    testing.TB
	path string
	args []string
	port int
	dir  string

	cmd    *exec.Cmd
	output sync.WaitGroup

	mu  sync.Mutex // guards log
	log strings.Builder
}

// StartRedis starts a redis-server that ends with the test. Args are appended to its command line, as in
// "--requirepass", "secret". The test is skipped where redis-server is not installed, see [Need].
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	r := &Redis{t: t, path: Need(t, "redis-server"), args: args, dir: t.TempDir()}
	t.Cleanup(func() {
		r.Kill()
		if t.Failed() {
			t.Logf("redis-server on port %d:\n%s", r.port, r.Log())
		}
	})
	for range 5 {
		r.port = FreePort(t)
		if r.start() {
			return r
		}
	}
	t.Fatalf("redis-server does not start:\n%s", r.Log())
	return nil
}

// start runs the process and returns true once it accepts connections, false if it ended before.
func (r *Redis) start() bool {
	r.t.Helper()
	r.cmd = exec.Command(r.path, append([]string{
		"--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--dir", r.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
	}, r.args...)...)
	r.cmd.SysProcAttr = endWithParent()
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		r.t.Fatalf("redis-server: %v", err)
	}
	r.cmd.Stderr = r.cmd.Stdout
	if err := r.cmd.Start(); err != nil {
		r.t.Fatalf("redis-server: %v", err)
	}
	ready := make(chan bool, 1)
	r.output.Go(func() { r.read(out, ready) })
	if Receive(r.t, "redis-server to start", ready) {
		return true
	}
	r.Kill()
	return false
}

// read keeps the log, and tells on ready whether the line came that Redis writes when it serves.
func (r *Redis) read(out io.Reader, ready chan<- bool) {
	told := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		r.mu.Lock()
		r.log.WriteString(lines.Text() + "\n")
		r.mu.Unlock()
		if !told && strings.Contains(lines.Text(), "Ready to accept connections") {
			told = true
			ready <- true
		}
	}
	if !told {
		ready <- false
	}
}

// Addr is its host:port, the same after every Restart.
func (r *Redis) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// URL is how Sidereal is told of it. Credentials are the caller's to add.
func (r *Redis) URL() string { return "redis://" + r.Addr() }

// Log is what it has written so far.
func (r *Redis) Log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// Kill ends it at once, with all its data; every connection is reset. Killing what is dead already does nothing.
func (r *Redis) Kill() {
	if r.cmd == nil || r.cmd.Process == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	r.output.Wait()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// Restart starts it again on the same port, empty; it is killed before if it runs.
func (r *Redis) Restart() {
	r.t.Helper()
	r.Kill()
	if !r.start() {
		r.t.Fatalf("redis-server does not start again:\n%s", r.Log())
	}
}

// Stop freezes it: connections stay open, and nothing answers.
func (r *Redis) Stop() { r.signal(syscall.SIGSTOP) }

// Cont lets it go on after Stop.
func (r *Redis) Cont() { r.signal(syscall.SIGCONT) }

func (r *Redis) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatalf("redis-server: %v: %v", s, err)
	}
}
