package supervisor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/loghandler"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// host is a supervisor under test: running, its lines and ends recorded.
type host struct {
	*Supervisor
	t      *testing.T
	out    testkit.Output
	cancel context.CancelFunc
	result chan error
	exits  chan Exit
}

func run(t *testing.T, cfg Config) *host {
	t.Helper()
	h := &host{t: t, result: make(chan error, 1), exits: make(chan Exit, 100)}
	cfg.Env = append(os.Environ(), "FAKE_CHILD=1", "GORACE=atexit_sleep_ms=0")
	cfg.Output = &h.out
	cfg.Prefix = true
	cfg.OnExit = func(e Exit) { h.exits <- e }
	cfg.Log = slog.New(loghandler.New(&h.out, slog.LevelDebug))
	// As the product does: a process that ignores SIGINT, such as a background job of a shell,
	// would pass that on.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	t.Cleanup(func() { signal.Stop(interrupts) })
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.Supervisor = s
	var ctx context.Context
	ctx, h.cancel = context.WithCancel(context.Background())
	go func() { h.result <- s.Run(ctx) }()
	t.Cleanup(func() {
		h.cancel()
		h.Kill()
		<-s.loop.over
		s.loop.followers.Wait()
		if t.Failed() {
			t.Logf("output:\n%s", h.out.String())
		}
	})
	return h
}

// wait waits for a status, with a bound that only a failure reaches.
func (h *host) wait(what string, wanted func([]Status) bool) []Status {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := h.Wait(ctx, wanted); err != nil {
		h.t.Fatalf("never %s: %+v", what, h.Status())
	}
	return h.Status()
}

func (h *host) end() error {
	h.t.Helper()
	select {
	case err := <-h.result:
		return err
	case <-time.After(20 * time.Second):
		h.t.Fatal("Run does not return")
		return nil
	}
}

func (h *host) exit() Exit {
	h.t.Helper()
	select {
	case e := <-h.exits:
		return e
	case <-time.After(20 * time.Second):
		h.t.Fatal("no process ended")
		return Exit{}
	}
}

func allReady(st []Status) bool {
	return !slices.ContainsFunc(st, func(s Status) bool { return s.State != Ready })
}

func TestStopGoesStageByStage(t *testing.T) {
	h := run(t, Config{Specs: []Spec{
		{Name: "redis", Stage: 2, Command: fake(t, "serve", "redis")},
		{Name: "router", Stage: 0, Command: fake(t, "serve", "router")},
		{Name: "worker-1", Stage: 1, Command: fake(t, "serve", "worker-1")},
		{Name: "worker-2", Stage: 1, Command: fake(t, "serve", "worker-2")},
	}})
	h.wait("all ready", allReady)
	h.cancel()
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	var order []string
	for range 4 {
		e := h.exit()
		if !e.Planned || e.Code != 0 || e.Attrs["tag"] != e.Name {
			t.Errorf("%+v", e)
		}
		order = append(order, e.Name)
	}
	out := h.out.String()
	at := func(name string) int { return strings.Index(out, "stopped "+name) }
	if at("router") < 0 || at("router") > min(at("worker-1"), at("worker-2")) || at("redis") < max(at("worker-1"), at("worker-2")) {
		t.Errorf("stopped in the wrong order (%v):\n%s", order, out)
	}
}

func TestYieldingProcessLetsTheNextStageGo(t *testing.T) {
	h := run(t, Config{StopTimeout: 300 * time.Millisecond, Specs: []Spec{
		{Name: "router", Stage: 0, Yields: true, Command: fake(t, "drain", "router")},
		{Name: "worker", Stage: 1, Command: fake(t, "serve", "worker")},
	}})
	h.wait("all ready", allReady)
	h.cancel()
	if e := h.exit(); e.Name != "worker" {
		t.Errorf("first to end is %+v", e)
	}
	if e := h.exit(); e.Name != "router" || e.Code != -1 { // it drained for ever
		t.Errorf("last to end is %+v", e)
	}
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

// A router that somebody tells to stop has a successor at once, while it ends what it still serves.
func TestYieldingProcessThatLeavesIsReplaced(t *testing.T) {
	h := run(t, Config{StopTimeout: time.Hour, Specs: []Spec{{Name: "router", Yields: true, Command: fake(t, "drain", "router")}}})
	first := h.wait("ready", allReady)[0].PID
	syscall.Kill(first, syscall.SIGTERM)
	h.wait("another is ready", func(st []Status) bool { return st[0].State == Ready && st[0].PID != first })
	if err := syscall.Kill(first, 0); err != nil || len(h.exits) > 0 {
		t.Errorf("the first has ended: %v", err)
	}
	h.Kill()
	if err := h.end(); !errors.Is(err, ErrKilled) {
		t.Errorf("got %v, want ErrKilled", err)
	}
}

func TestStubbornProcessIsKilled(t *testing.T) {
	h := run(t, Config{StopTimeout: 100 * time.Millisecond, Specs: []Spec{{Name: "a", Command: fake(t, "stubborn")}}})
	h.wait("ready", allReady)
	h.cancel()
	if e := h.exit(); e.Code != -1 || !e.Planned {
		t.Errorf("%+v", e)
	}
	if err := h.end(); err != nil {
		t.Error(err)
	}
}

func TestKillEndsAtOnce(t *testing.T) {
	h := run(t, Config{StopTimeout: time.Hour, Specs: []Spec{{Name: "a", Command: fake(t, "stubborn")}, {Name: "b", Stage: 1, Command: fake(t, "stubborn")}}})
	h.wait("ready", allReady)
	h.cancel()
	h.Kill()
	if err := h.end(); !errors.Is(err, ErrKilled) {
		t.Errorf("got %v, want ErrKilled", err)
	}
}

func TestEndedProcessIsRestarted(t *testing.T) {
	h := run(t, Config{Specs: []Spec{{Name: "a", Command: fake(t, "serve", "one")}}})
	first := h.wait("ready", allReady)[0].PID
	syscall.Kill(first, syscall.SIGKILL)
	e := h.exit()
	if e.PID != first || e.Planned || e.Code != -1 || e.Cause != "signal: killed" || e.Attrs["tag"] != "one" {
		t.Errorf("%+v", e)
	}
	st := h.wait("ready again", func(st []Status) bool { return st[0].State == Ready && st[0].PID != first })
	if st[0].Restarts != 1 {
		t.Errorf("%+v", st[0])
	}
}

func TestCrashLoopBacksOffAndIsLogged(t *testing.T) {
	h := run(t, Config{Specs: []Spec{{Name: "a", Command: fake(t, "exit", "1")}}})
	h.wait("restarted often", func(st []Status) bool { return st[0].Restarts >= loopEnds })
	h.cancel()
	if err := h.end(); err != nil {
		t.Error(err)
	}
	if out := h.out.String(); !strings.Contains(out, `"again_in_ms":400`) || !strings.Contains(out, "process keeps exiting") {
		t.Error("the loop was not logged")
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i, c := range []struct{ uptime, want time.Duration }{
		{time.Second, 0}, {0, 100 * time.Millisecond}, {0, 200 * time.Millisecond}, {0, 400 * time.Millisecond},
		{0, 800 * time.Millisecond}, {0, 1600 * time.Millisecond}, {0, 3200 * time.Millisecond},
		{0, 6400 * time.Millisecond}, {0, 12800 * time.Millisecond}, {0, 15 * time.Second}, {0, 15 * time.Second},
		{10 * time.Second, 0}, {0, 100 * time.Millisecond},
	} {
		if got := b.next(c.uptime); got != c.want {
			t.Errorf("end %d: wait %v, want %v", i+1, got, c.want)
		}
	}
}

func TestFatalCodeEndsTheSupervisor(t *testing.T) {
	h := run(t, Config{Specs: []Spec{
		{Name: "good", Command: fake(t, "serve", "good")},
		{Name: "bad", FatalCode: 2, Command: fake(t, "exit", "2")},
	}})
	var exit *ExitError
	if err := h.end(); !errors.As(err, &exit) || exit.Name != "bad" || exit.Code != 2 {
		t.Errorf("got %v", err)
	}
}

func TestMissingProgramEndsTheSupervisor(t *testing.T) {
	h := run(t, Config{Specs: []Spec{{Name: "a", Command: []string{"/nowhere/program"}}}})
	if err := h.end(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestAfterWaitsForReadiness(t *testing.T) {
	h := run(t, Config{Specs: []Spec{
		{Name: "late", After: "first", Command: fake(t, "serve", "late")},
		{Name: "first", Command: fake(t, "serve", "first")},
		{Name: "never", After: "mute", Command: fake(t, "serve", "never")},
		{Name: "mute", Command: fake(t, "mute")},
	}})
	st := h.wait("late ready", func(st []Status) bool { return st[0].State == Ready })
	if !st[0].Started.After(st[1].Started) || st[2].State != Waiting {
		t.Errorf("%+v", st)
	}
}

func TestReloadReplacesOneAfterTheOther(t *testing.T) {
	h := run(t, Config{Specs: []Spec{
		{Name: "w1", Group: "w", Command: fake(t, "serve", "w1")},
		{Name: "w2", Group: "w", Command: fake(t, "serve", "w2")},
		{Name: "other", Command: fake(t, "serve", "other")},
	}})
	before := h.wait("ready", allReady)
	h.Reload("w")
	h.Reload("w") // ignored: one is under way
	for i, name := range []string{"w1", "w2"} {
		e := h.exit()
		if e.Name != name || e.PID != before[i].PID || !e.Planned {
			t.Errorf("ended: %+v, want the old %s", e, name)
		}
		// By the time that the old one has ended, its successor serves.
		if st := h.Status()[i]; st.PID == before[i].PID || st.State != Ready {
			t.Errorf("%+v", st)
		}
	}
	after := h.wait("ready", allReady)
	if after[2].PID != before[2].PID || after[0].Restarts != 0 {
		t.Errorf("%+v", after)
	}
}

func TestReloadKeepsTheOldWhereTheNewDoesNotGetReady(t *testing.T) {
	flag := filepath.Join(t.TempDir(), "unready")
	h := run(t, Config{ReadyTimeout: 100 * time.Millisecond, Specs: []Spec{
		{Name: "w1", Group: "w", Command: fake(t, "unready-if", flag)},
		{Name: "w2", Group: "w", Command: fake(t, "unready-if", flag)},
	}})
	before := h.wait("ready", allReady)
	if err := os.WriteFile(flag, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.Reload("w")
	if e := h.exit(); e.PID == before[0].PID || e.PID == before[1].PID {
		t.Errorf("an old process ended: %+v", e)
	}
	if after := h.Status(); after[0].PID != before[0].PID || after[1].PID != before[1].PID || !allReady(after) {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}

func TestRestartedChildRefusesNoConnection(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	h := run(t, Config{Specs: []Spec{{Name: "router", Command: fake(t, "accept"), Listeners: []*net.TCPListener{l}}}})
	h.wait("ready", allReady)
	for range 5 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := io.ReadAll(c)
		if err != nil || len(pid) == 0 {
			t.Fatalf("read %q, %v", pid, err)
		}
		c.Close()
		syscall.Kill(h.Status()[0].PID, syscall.SIGKILL)
		h.exit()
		// The next connection comes while nobody accepts, and is served all the same.
	}
	h.cancel()
	if err := h.end(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

func TestChildrenGetTheirEnvironment(t *testing.T) {
	h := run(t, Config{Specs: []Spec{{Name: "a", Env: []string{"SOME=thing"}, Command: fake(t, "env", "SOME")}}})
	if st := h.wait("ready", allReady); st[0].Attrs["value"] != "thing" {
		t.Errorf("%+v", st)
	}
}

func TestOutputIsPrefixed(t *testing.T) {
	h := run(t, Config{Specs: []Spec{{Name: "worker-1", Command: fake(t, "print", "hello")}}})
	h.wait("ready", allReady)
	h.cancel()
	h.end()
	if got := h.out.String(); !strings.Contains(got, "worker-1 │ hello\n") {
		t.Errorf("got %q", got)
	}
}

func TestOutputLines(t *testing.T) {
	long := strings.Repeat("x", maxLine+10)
	wrapped := func(text string) string { return `{"level":"info","process":"w","message":"` + text + "\"}\n" }
	const (
		died    = "panic: oops [recovered]\n\tpanic: again\n\n"
		stack   = "goroutine 7 [running]:\nmain.main.func1({0x1, 0x2})\n\t/app/main.go:7 +0x18\ncreated by main.main in goroutine 1\n\t/app/main.go:6 +0x2c\nexit status 2\n"
		crashed = `{"level":"error","process":"w","stack":"panic: again\n\ngoroutine 7 [running]:\nmain.main.func1({0x1, 0x2})\n\t/app/main.go:7 +0x18\n` +
			`created by main.main in goroutine 1\n\t/app/main.go:6 +0x2c\nexit status 2","message":"panic: oops [recovered]"}` + "\n"
	)
	stamp := regexp.MustCompile(`"time":"20\d\d-\d\d-\d\dT[0-9:.]+(Z|[+-]\d\d:\d\d)",`)
	for _, c := range []struct{ in, want string }{
		{"{\"a\":1}\n", "{\"a\":1}\n"},
		{"panic: oops\nlast", wrapped("panic: oops") + wrapped("last")},
		{"panic: oops", wrapped("panic: oops")},
		{"before\n" + died + "{\"a\":1}\n" + stack, wrapped("before") + "{\"a\":1}\n" + crashed},
		{died + stack + "after\n", crashed + wrapped("after")},
		{"{" + long + "\n{}\n", wrapped("{"+long[:maxLine-1]) + wrapped(long[:11]) + "{}\n"}, // no piece of an object is one
	} {
		var b bytes.Buffer
		o := output{w: &b, cfg: &Config{}}
		o.copy("w", strings.NewReader(c.in))
		if got := stamp.ReplaceAllString(b.String(), ""); got != c.want {
			t.Errorf("got %.200q", got)
		}
	}
}

// A crash is bounded: the rest of a dump of many goroutines is left out.
func TestLongCrashes(t *testing.T) {
	var b bytes.Buffer
	o := output{w: &b, cfg: &Config{Host: "host-a"}}
	o.copy("w", strings.NewReader("fatal error: all goroutines are asleep\n\n"+strings.Repeat("goroutine 1 [select]:\nmain.f()\n\t/app/main.go:7\n\n", 10_000)))
	if got := b.String(); strings.Count(got, "\n") != 1 || len(got) > 2*maxCrash || !strings.Contains(got, `"level":"error"`) || !strings.Contains(got, `"host":"host-a"`) {
		t.Errorf("%d bytes: %.300s", len(got), got)
	}
}

// TestGrandchildrenEndToo holds that nothing of a process' group outlives it.
func TestGrandchildrenEndToo(t *testing.T) {
	addr, conns := holders(t)
	h := run(t, Config{Specs: []Spec{{Name: "a", Command: fake(t, "grandchild", addr)}}})
	held := <-conns
	h.wait("ready", allReady)
	syscall.Kill(h.Status()[0].PID, syscall.SIGKILL)
	waitForEnd(t, held)
	waitForStart := <-conns // of the restarted one
	h.Kill()
	h.end()
	waitForEnd(t, waitForStart)
}

// TestChildrenEndWithTheSupervisor kills a supervisor: the child that reads its line ends, and on
// Linux the other one too.
func TestChildrenEndWithTheSupervisor(t *testing.T) {
	addr, conns := holders(t)
	command := fake(t, "supervise", addr)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "FAKE_CHILD=1", "GORACE=atexit_sleep_ms=0")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, second := <-conns, <-conns
	begin := time.Now()
	cmd.Process.Kill()
	cmd.Wait()
	waitForEnd(t, first)
	waitForEnd(t, second)
	t.Logf("children ended after %v", time.Since(begin))
}

// holders listens for processes that hold a connection as long as they live.
func holders(t *testing.T) (addr string, conns chan net.Conn) {
	dir, err := os.MkdirTemp("", "s") // short: unix addresses are
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	conns = make(chan net.Conn, 10)
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	})
	t.Cleanup(func() {
		l.Close()
		accepting.Wait()
		os.RemoveAll(dir)
	})
	return l.Addr().String(), conns
}

func waitForEnd(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the process lives on")
	}
	c.Close()
}
