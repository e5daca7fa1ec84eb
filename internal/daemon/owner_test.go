package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

// spawned starts a daemon as `sidereal start` does.
func spawned(t *testing.T, home Home) (*Client, bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, started, err := Ensure(t.Context(), Spawn{Home: home, Command: []string{self, "daemon"}, Env: append(os.Environ(), "FAKE_SERVICES=1", "GORACE=atexit_sleep_ms=0")})
	if err != nil {
		log, _ := os.ReadFile(home.Log())
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := c.Kill(ctx, nil); err != nil && !errors.Is(err, ErrNotRunning) {
			t.Errorf("kill: %v", err)
		}
		c.Close()
	})
	return c, started
}

func TestKilledDaemonTakesItsProcessesAlong(t *testing.T) {
	home := testHome(t)
	addr := filepath.Join(string(home), "hold")
	l, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, started := spawned(t, home)
	if !started {
		t.Error("there was one already")
	}
	a := app(t, "api", "worker", "FAKE_HOLD="+addr, "SIDEREAL_ADDR="+freeAddr(t))
	r := &running{Client: c, t: t, home: home}
	r.must(r.start(StartNew, a))
	held, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	info, err := c.Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := syscall.Kill(info.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	held.SetReadDeadline(time.Now().Add(limit))
	if _, err := held.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the worker lives on")
	}
	t.Logf("the worker ended after %v", time.Since(begin))
	c.Close()
	// The socket and the lock file of the dead one are in nobody's way, and neither are its
	// processes that are still ending.
	again, started := spawned(t, home)
	if !started {
		t.Error("the dead one still answers")
	}
	r.Client = again
	r.must(r.start(StartNew, a))
	held2, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	held2.Close()
}

// Somebody removes the home folder: the daemon puts it back, and goes on with the same processes.
func TestDaemonPutsARemovedHomeBack(t *testing.T) {
	home := testHome(t)
	c, _ := spawned(t, home)
	r := &running{Client: c, t: t, home: home}
	r.must(r.start(StartNew, app(t, "api", "worker")))
	info, err := c.Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pid := r.list().Processes[0].PID
	for name, remove := range map[string]func() error{
		"all":      func() error { return os.RemoveAll(string(home)) },
		"lock":     func() error { return os.Remove(home.lockFile()) },
		"socket":   func() error { return os.Remove(home.socket()) },
		"replaced": func() error { return errors.Join(os.RemoveAll(string(home)), os.Mkdir(string(home), 0o755)) },
	} {
		lock, err := os.Stat(home.lockFile())
		if err != nil {
			t.Fatal(err)
		}
		c.Close() // commands come by new connections
		if err := remove(); err != nil {
			t.Fatal(err)
		}
		testkit.Until(t, name+": the daemon is reached again", func() bool {
			again, err := Connect(t.Context(), home)
			if err != nil {
				return false
			}
			defer again.Close()
			there, err := os.Stat(home.lockFile())
			return err == nil && (name == "socket" || !os.SameFile(lock, there))
		})
		if now, err := c.Ping(t.Context()); err != nil || now.PID != info.PID {
			t.Errorf("%s: %+v, %v: not the daemon that it was", name, now, err)
		}
		if l := r.list(); len(l.Processes) != 1 || l.Processes[0].PID != pid {
			t.Errorf("%s: %+v", name, l.Processes)
		}
		fileEventually(t, filepath.Join(home.PIDs(), "api-0.pid"), strconv.Itoa(pid))
		fileEventually(t, home.Log(), "restored")
		if err := Run(t.Context(), testConfig(home)); !errors.Is(err, ErrRunning) {
			t.Errorf("%s: a second daemon: %v", name, err)
		}
		if info, err := os.Stat(string(home)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: rights %v, %v", name, info.Mode(), err)
		}
	}
	r.must(r.act(Action{Verb: Restart, Targets: []string{"api"}})) // its lines go to the new file
	fileEventually(t, r.list().Processes[0].OutFile, "env NODE_APP_INSTANCE=0")
}

// Another daemon has the folder by the time the first one notices that its own is gone: the first
// one ends with its processes, and leaves the other's socket alone.
func TestDaemonEndsWhenAnotherHasItsHome(t *testing.T) {
	home := testHome(t)
	addr := filepath.Join(t.TempDir(), "hold")
	l, err := net.Listen("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first, _ := spawned(t, home)
	r := &running{Client: first, t: t, home: home}
	r.must(r.start(StartNew, app(t, "api", "worker", "FAKE_HOLD="+addr)))
	held, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	before, err := first.Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	if err := syscall.Kill(before.PID, syscall.SIGSTOP); err != nil { // so that it doesn't notice too early
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(string(home)), os.Mkdir(string(home), 0o700)); err != nil {
		t.Fatal(err)
	}
	second, started := spawned(t, home)
	if !started {
		t.Error("no second daemon")
	}
	after, err := second.Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(before.PID, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	held.SetReadDeadline(time.Now().Add(limit))
	if _, err := held.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the first daemon's worker lives on")
	}
	var status syscall.WaitStatus
	testkit.Until(t, "the first daemon has ended", func() bool {
		pid, err := syscall.Wait4(before.PID, &status, syscall.WNOHANG, nil) // a child of this process
		return pid == before.PID || errors.Is(err, syscall.ECHILD)
	})
	if status.ExitStatus() != 0 {
		t.Errorf("it ended with %v", status)
	}
	second.Close()
	if now, err := second.Ping(t.Context()); err != nil || now.PID != after.PID {
		t.Errorf("the second daemon: %+v, %v", now, err)
	}
}

func TestCommandsThatRaceStartOneDaemon(t *testing.T) {
	home := testHome(t)
	const racing = 6
	pids, starts := make([]int, racing), make([]bool, racing)
	var all sync.WaitGroup
	for i := range racing {
		all.Go(func() {
			c, started := spawned(t, home)
			starts[i] = started
			if info, err := c.Ping(context.Background()); err == nil {
				pids[i] = info.PID
			}
		})
	}
	all.Wait()
	began := 0
	for i := range racing {
		if pids[i] != pids[0] || pids[i] == 0 {
			t.Errorf("daemons %v", pids)
		}
		if starts[i] {
			began++
		}
	}
	if began != 1 {
		t.Errorf("%d of them say that they started it", began)
	}
	if err := Run(t.Context(), testConfig(home)); !errors.Is(err, ErrRunning) {
		t.Errorf("a second daemon: %v", err)
	}
}

func TestDaemonThatCannotStartSaysWhy(t *testing.T) {
	home := testHome(t)
	_, _, err := Ensure(t.Context(), Spawn{Home: home, Command: []string{"/bin/sh", "-c", `printf '%s\n' '2 SIDEREAL_X must be y\nand z' >&3`}})
	fails(t, err, 2, "SIDEREAL_X must be y\nand z")
	_, _, err = Ensure(t.Context(), Spawn{Home: home, Command: []string{"/bin/sh", "-c", "exit 3"}})
	fails(t, err, 1, home.Log())
}

func TestHomeIsPrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenHome(dir); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(dir); info.Mode().Perm() != 0o700 {
		t.Errorf("rights %v", info.Mode())
	}
	if _, err := OpenHome(filepath.Join(dir, strings.Repeat("x", 100))); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("got %v", err)
	}
}
