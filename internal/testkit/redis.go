//go:build unix

package testkit

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Redis is a redis-server process of one test, on a port of 127.0.0.1, which keeps nothing on disk.
// Its methods are for the test's own goroutine.
type Redis struct {
	t    testing.TB
	path string
	args func() []string // for another attempt to start on a port that is free
	last []string        // with which it runs
	says string          // the log line that tells that it serves
	port int
	dir  string

	cmd    *exec.Cmd
	output sync.WaitGroup

	mu  sync.Mutex // guards log
	log strings.Builder
}

// redisServer is the program that tests start as Redis: redis-server, or what TESTKIT_REDIS names.
func redisServer() string { return cmp.Or(os.Getenv("TESTKIT_REDIS"), "redis-server") }

// StartRedis starts a redis-server that ends with the test. Args are appended to its command line,
// as in "--requirepass", "secret". The test is skipped where redis-server is not installed, see
// [Need].
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	return startRedis(t, func(r *Redis) []string { return r.with(args...) }, serves)
}

// serves is what a Redis logs when it takes commands.
const serves = "Ready to accept connections"

// with is the command line of an ordinary Redis, and more.
func (r *Redis) with(args ...string) []string {
	return append([]string{
		"--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--dir", r.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
	}, args...)
}

// startRedis starts a redis-server whose arguments may depend on its port and folder.
func startRedis(t testing.TB, args func(*Redis) []string, says string) *Redis {
	t.Helper()
	r := &Redis{t: t, path: Need(t, redisServer()), says: says, dir: t.TempDir()}
	r.args = func() []string { return args(r) }
	t.Cleanup(func() {
		r.Kill()
		if t.Failed() {
			t.Logf("redis-server on port %d:\n%s", r.port, r.Log())
		}
	})
	for range 5 {
		r.port = FreePort(t)
		r.last = r.args()
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
	r.cmd = exec.Command(r.path, r.last...)
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
		if !told && strings.Contains(lines.Text(), r.says) {
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

// Do runs a command on it as the default user and returns the answer; an error ends the test.
func (r *Redis) Do(args ...any) any {
	r.t.Helper()
	answer, err := r.try(args...)
	if err != nil {
		r.t.Fatalf("%v on %s: %v", args, r.Addr(), err)
	}
	return answer
}

func (r *Redis) try(args ...any) (any, error) {
	c := redis.NewClient(&redis.Options{Addr: r.Addr(), Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	defer c.Close()
	return c.Do(context.Background(), args...).Result()
}

// answers tells whether the text that a command answers with has part in it. An error has not.
func (r *Redis) answers(part string, args ...any) bool {
	answer, err := r.try(args...)
	text, _ := answer.(string)
	return err == nil && strings.Contains(text, part)
}

// Log is what it has written so far.
func (r *Redis) Log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// Kill ends it at once, with all its data; every connection is reset. Killing what is dead already
// does nothing.
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
