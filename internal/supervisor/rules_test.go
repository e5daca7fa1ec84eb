package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func stateIs(name string, want State) func([]Status) bool {
	return func(st []Status) bool {
		for _, s := range st {
			if s.Name == name {
				return s.State == want
			}
		}
		return false
	}
}

func (h *host) status(name string) Status {
	h.t.Helper()
	for _, s := range h.Status() {
		if s.Name == name {
			return s
		}
	}
	h.t.Fatalf("no place %s in %+v", name, h.Status())
	return Status{}
}

// quickly is a crash loop's rule that a test can wait for.
var quickly = Backoff{First: time.Millisecond, Max: time.Millisecond}

func TestCrashLoopIsGivenUpAndStartedAnewByCommand(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{
		{Name: "a", Command: fake(t, "exit", "3"), Restart: RestartRule{Max: 3, MinUptime: time.Minute, Backoff: quickly}},
		{Name: "b", Command: fake(t, "serve", "b")},
	}})
	st := h.wait("given up", stateIs("a", Errored))
	if st[0].Restarts != 3 || st[0].Unstable != 3 || st[0].Last.Code != 3 || !strings.Contains(st[0].Reason, "exit status 3") {
		t.Errorf("%+v", st[0])
	}
	if err := h.Start("a"); err != nil {
		t.Fatal(err)
	}
	h.wait("given up again, after as many tries", func(st []Status) bool { return st[0].State == Errored && st[0].Restarts == 6 })
	h.wait("the other one untouched", stateIs("b", Ready))
}

func TestLives(t *testing.T) {
	for _, c := range []struct {
		name     string
		lives    []time.Duration
		looping  bool
		unstable int
	}{
		{"too few", []time.Duration{0, 0}, false, 2},
		{"all short", []time.Duration{0, 1, 2}, true, 3},
		{"a loop that begins late", []time.Duration{time.Hour, 0, 0, 0}, true, 3},
		{"one long life among short ones", []time.Duration{0, time.Hour, 0}, false, 2},
		{"short on the whole", []time.Duration{0, 1200 * time.Millisecond, 0}, true, 2},
		{"just stable", []time.Duration{time.Second, time.Second, time.Second}, false, 0},
		{"no overflow", []time.Duration{1<<63 - 1, 1<<63 - 1, 1<<63 - 1}, false, 0},
	} {
		l := lives{size: 3, least: time.Second}
		for _, d := range c.lives {
			l.add(d)
		}
		if l.looping() != c.looping || l.unstable() != c.unstable {
			t.Errorf("%s: looping %v, %d unstable", c.name, l.looping(), l.unstable())
		}
	}
	for _, least := range []time.Duration{1 << 62, 1<<63 - 1} { // as a file may have it
		l := lives{size: 3, least: least}
		for range 4 {
			l.add(0)
		}
		if !l.looping() {
			t.Errorf("three short lives of at least %v are no loop", least)
		}
	}
	l := lives{size: 4, least: time.Second}
	for i := range 10 { // the window has 0, 0, 1h, 0 at its end
		l.add(map[bool]time.Duration{true: time.Hour}[i == 8])
	}
	if l.unstable() != 3 || len(l.last) != 4 {
		t.Errorf("%d unstable of %v", l.unstable(), l.last)
	}
	if l.rule(1, time.Second); l.unstable() != 1 || !l.looping() { // the youngest
		t.Errorf("a smaller window: %+v", l)
	}
	if l.rule(3, time.Second); l.unstable() != 1 || l.looping() {
		t.Errorf("a larger window: %+v", l)
	}
	if l.forget(); l.unstable() != 0 || l.size != 3 {
		t.Errorf("forgotten: %+v", l)
	}
	var never lives
	never.add(0)
	if never.looping() {
		t.Error("without a window there is no loop")
	}
}

func TestBackoffOfItsOwn(t *testing.T) {
	b := backoff{rule: Backoff{First: 100 * time.Millisecond, Factor: 1.5, Steady: 30 * time.Second, Always: true}}
	for i, c := range []struct{ uptime, want time.Duration }{
		{0, 100 * time.Millisecond}, {0, 150 * time.Millisecond}, {29 * time.Second, 225 * time.Millisecond}, {30 * time.Second, 100 * time.Millisecond},
	} {
		if got := b.next(c.uptime); got != c.want {
			t.Errorf("end %d: wait %v, want %v", i+1, got, c.want)
		}
	}
	b = backoff{rule: Backoff{First: time.Second, Max: time.Second, Always: true, Jitter: 0.2}}
	spread := map[time.Duration]bool{}
	for range 100 {
		d := b.next(0)
		if spread[d] = true; d < 800*time.Millisecond || d > 1200*time.Millisecond {
			t.Errorf("waits %v", d)
		}
	}
	if len(spread) < 50 {
		t.Errorf("only %d different waits", len(spread))
	}
}

func TestWantedEndsLeaveThePlaceEmpty(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{
		{Name: "code", Command: fake(t, "exit", "7"), Restart: RestartRule{StopCodes: []int{0, 7}}},
		{Name: "never", Command: fake(t, "exit", "1"), Restart: RestartRule{Never: true}},
	}})
	h.wait("both empty", func(st []Status) bool { return st[0].State == Stopped && st[1].State == Stopped })
	for _, name := range []string{"code", "never"} {
		if st := h.status(name); st.Starts != 1 {
			t.Errorf("%+v", st)
		}
	}
}

func TestLastingSupervisorGoesOnWithoutAProgram(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{
		{Name: "missing", Command: []string{"/nowhere/program"}},
		{Name: "wrong", FatalCode: 2, Command: fake(t, "exit", "2")},
		{Name: "good", Command: fake(t, "serve", "good")},
	}})
	h.wait("settled", func(st []Status) bool {
		return st[0].State == Errored && st[1].State == Errored && st[2].State == Ready
	})
	if reason := h.status("missing").Reason; !strings.Contains(reason, "no such file") {
		t.Errorf("reason %q", reason)
	}
}

func TestPlacesComeAndGo(t *testing.T) {
	h := run(t, Config{Lasting: true})
	if err := h.Add(Spec{Name: "a", Stage: 1, Command: fake(t, "serve", "a")}, Spec{Name: "front", Command: fake(t, "serve", "front")},
		Spec{Name: "idle", Manual: true, Command: fake(t, "serve", "idle")}); err != nil {
		t.Fatal(err)
	}
	h.wait("two ready", func(st []Status) bool { return st[0].State == Ready && st[1].State == Ready && st[2].State == Stopped })
	if err := h.Add(Spec{Name: "a", Command: fake(t, "serve", "a")}); err == nil {
		t.Error("a name was given twice")
	}
	if err := h.Start("idle", "nobody"); !errors.Is(err, ErrNoPlace) {
		t.Errorf("got %v", err)
	}
	if err := h.Start("idle"); err != nil {
		t.Fatal(err)
	}
	h.wait("all ready", allReady)
	if err := h.Remove(t.Context(), "a", "front"); err != nil {
		t.Fatal(err)
	}
	var ends []string // as the loop learnt of them
	for _, line := range strings.Split(h.out.String(), "\n") {
		if name, ok := strings.CutPrefix(line, `{"level":"debug","process":"`); ok && strings.Contains(line, "process stopped") {
			ends = append(ends, name[:strings.IndexByte(name, '"')])
		}
	}
	if len(ends) != 2 || ends[0] != "front" {
		t.Errorf("ended: %v; stages count here, too", ends)
	}
	if st := h.Status(); len(st) != 1 || st[0].Name != "idle" || st[0].State != Ready {
		t.Errorf("%+v", st)
	}
}

// A removal outlives the wait for it: the place is forgotten when its process has ended, and the
// name is free then.
func TestRemoveGoesOnWithoutItsCaller(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "a", Command: fake(t, "stubborn")}, {Name: "b", Command: fake(t, "serve", "b")}}})
	pid := h.wait("ready", allReady)[0].PID
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Remove(gone, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := h.Remove(t.Context(), "a"); !errors.Is(err, ErrNoPlace) {
		t.Errorf("removed again: %v", err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.wait("forgotten", func(st []Status) bool { return len(st) == 1 && st[0].Name == "b" })
	if err := h.Add(Spec{Name: "a", Command: fake(t, "serve", "a")}); err != nil {
		t.Error(err)
	}
	h.wait("ready again", allReady)
}

func TestStopRestartAndStart(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "a", Command: fake(t, "serve", "a")}}})
	first := h.wait("ready", allReady)[0].PID
	if err := h.Restart("a"); err != nil {
		t.Fatal(err)
	}
	second := h.wait("another", func(st []Status) bool { return st[0].State == Ready && st[0].PID != first })[0]
	if second.Restarts != 0 || second.Starts != 2 {
		t.Errorf("%+v", second)
	}
	if err := h.Stop("a"); err != nil {
		t.Fatal(err)
	}
	h.wait("stopped", stateIs("a", Stopped))
	if err := h.Restart("a"); err != nil {
		t.Fatal(err)
	}
	h.wait("started by a restart", stateIs("a", Ready))
	if err := errors.Join(h.Stop("a"), h.Start("a")); err != nil { // the start comes while it is stopping, and is no news
		t.Fatal(err)
	}
	h.wait("stopped for good", stateIs("a", Stopped))
}

func TestStopBySignalOfItsOwnReachesWhatTheProcessStarted(t *testing.T) {
	addr, conns := holders(t)
	h := run(t, Config{Lasting: true, Specs: []Spec{{
		Name: "a", Command: fake(t, "grandchild", addr), Stop: StopRule{Signal: syscall.SIGINT, Tree: TreeToo},
	}}})
	held := <-conns
	h.wait("ready", allReady)
	if err := h.Stop("a"); err != nil { // the child catches SIGTERM only: SIGINT ends it and its own
		t.Fatal(err)
	}
	h.wait("stopped", stateIs("a", Stopped))
	if e := h.exit(); e.Cause != "signal: interrupt" {
		t.Errorf("%+v", e)
	}
	waitForEnd(t, held)
}

func TestSparedProcessesLiveOn(t *testing.T) {
	addr, conns := holders(t)
	h := run(t, Config{Lasting: true, Specs: []Spec{{
		Name: "a", Command: fake(t, "grandchild-linger", addr), Stop: StopRule{Signal: syscall.SIGKILL, Tree: TreeSpare},
	}}})
	held := <-conns
	h.wait("ready", allReady)
	if err := h.Stop("a"); err != nil {
		t.Fatal(err)
	}
	h.wait("stopped", stateIs("a", Stopped))
	if _, err := held.Write([]byte("still there?\n")); err != nil {
		t.Error(err)
	}
	held.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := held.Read(make([]byte, 100)); n == 0 {
		t.Errorf("it has ended: %v", err)
	}
	held.Close() // which ends it
}

func TestSilentProcessIsKilledAndReplaced(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "a", AliveTimeout: 3 * time.Second, Command: fake(t, "serve", "a")}}})
	first := h.wait("ready", allReady)[0].PID
	h.wait("heard of", func([]Status) bool {
		heard := make(chan bool, 1)
		h.loop.post(func() { heard <- h.places[0].current.pulse.last.Load() != 0 })
		return <-heard
	})
	syscall.Kill(first, syscall.SIGSTOP)
	e := h.exit()
	if e.PID != first || e.Cause != "signal: killed" || e.Planned {
		t.Errorf("%+v", e)
	}
	h.wait("replaced", func(st []Status) bool { return st[0].State == Ready && st[0].PID != first })
}

func TestReadinessByTimeAndAtStart(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{
		{Name: "late", Command: fake(t, "mute"), Readiness: Readiness{Timeout: 50 * time.Millisecond}},
		{Name: "once", Command: fake(t, "sleep"), Readiness: Readiness{AtStart: true}, Unlined: true},
		{Name: "settled", Command: fake(t, "sleep"), Readiness: Readiness{AtStart: true, Settle: 10 * time.Millisecond}, Unlined: true},
		{Name: "never", Command: fake(t, "exit", "1"), Readiness: Readiness{AtStart: true, Settle: time.Hour}, Restart: RestartRule{Never: true}},
	}})
	h.wait("three ready", func(st []Status) bool { return allReady(st[:3]) && st[3].State == Stopped })
}

func TestRollGivesNewSpecsAndKeepsTheOldOnFailure(t *testing.T) {
	spec := func(name, tag string) Spec { return Spec{Name: name, Command: fake(t, "serve", tag)} }
	h := run(t, Config{Lasting: true, Specs: []Spec{spec("a", "v1"), spec("b", "v1"), spec("c", "v1")}})
	h.wait("ready", allReady)
	if err := h.Roll(t.Context(), []Spec{spec("a", "v2"), spec("b", "v2"), spec("c", "v2")}, 2); err != nil {
		t.Fatal(err)
	}
	for _, st := range h.Status() {
		if st.Attrs["tag"] != "v2" || st.State != Ready {
			t.Errorf("%+v", st)
		}
	}
	bad := Spec{Name: "b", Command: fake(t, "exit", "1")}
	var failed *ReloadError
	err := h.Roll(t.Context(), []Spec{spec("a", "v3"), bad, spec("c", "v3")}, 1)
	if !errors.As(err, &failed) || failed.Name != "b" || failed.Done != 1 || failed.Cause != "exit status 1" {
		t.Errorf("got %#v", err)
	}
	for name, want := range map[string]string{"a": "v3", "b": "v2", "c": "v2"} {
		if st := h.status(name); st.Attrs["tag"] != want || st.State != Ready {
			t.Errorf("%+v, want %s", st, want)
		}
	}
	// A crash also brings back the processes that served before.
	syscall.Kill(h.status("b").PID, syscall.SIGKILL)
	h.wait("b as it was", func([]Status) bool {
		st := h.status("b")
		return st.Restarts == 1 && st.State == Ready && st.Attrs["tag"] == "v2"
	})
}

func TestRollGivesASuccessorUpThatSaysNothing(t *testing.T) {
	h := run(t, Config{Lasting: true, ReadyTimeout: 50 * time.Millisecond, Specs: []Spec{{Name: "a", Command: fake(t, "serve", "a")}}})
	first := h.wait("ready", allReady)[0].PID
	var failed *ReloadError
	err := h.Roll(t.Context(), []Spec{{Name: "a", Command: fake(t, "mute")}}, 1)
	if !errors.As(err, &failed) || failed.Cause != "not ready in time" {
		t.Errorf("got %#v", err)
	}
	if e, st := h.exit(), h.status("a"); e.PID == first || st.PID != first || st.State != Ready {
		t.Errorf("%+v ended, %+v is left", e, st)
	}
}

// A bot that never listens shows as much in a reload as it did before: that it stays alive.
func TestRollAcceptsSilenceAfterSilence(t *testing.T) {
	silent := func(name, command string, single bool) Spec {
		return Spec{Name: name, Command: fake(t, command), Single: single, Readiness: Readiness{Timeout: 50 * time.Millisecond}}
	}
	h := run(t, Config{Lasting: true, Specs: []Spec{silent("bot", "mute", false), silent("one", "mute", true)}})
	before := h.wait("ready", allReady)
	if err := h.Roll(t.Context(), []Spec{silent("bot", "mute", false), silent("one", "mute", true)}, 1); err != nil {
		t.Fatal(err)
	}
	for i, st := range h.Status() {
		if st.PID == before[i].PID || st.State != Ready || st.Restarts != 0 {
			t.Errorf("%+v", st)
		}
	}
	broken := silent("bot", "mute", false)
	broken.Command = fake(t, "exit", "1")
	broken.Readiness.Timeout = time.Hour
	pid := h.status("bot").PID
	var failed *ReloadError
	if err := h.Roll(t.Context(), []Spec{broken}, 1); !errors.As(err, &failed) || failed.Cause != "exit status 1" {
		t.Errorf("got %#v", err)
	}
	if st := h.status("bot"); st.PID != pid || st.State != Ready {
		t.Errorf("%+v, want the old process", st)
	}
}

func TestSinglePlacesAreReloadedOneProcessAtATime(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "lock")
	spec := Spec{Name: "a", Single: true, Command: fake(t, "alone", lock)}
	h := run(t, Config{Lasting: true, Specs: []Spec{spec}})
	first := h.wait("ready", allReady)[0].PID
	if err := h.Roll(t.Context(), []Spec{spec}, 1); err != nil {
		t.Fatal(err)
	}
	if st := h.status("a"); st.PID == first || st.State != Ready || st.Restarts != 0 {
		t.Errorf("%+v", st)
	}
}

func TestCommandsMeetAReload(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "a", Command: fake(t, "serve", "a")}}})
	h.wait("ready", allReady)
	result := make(chan error, 1)
	go func() { result <- h.Roll(context.Background(), []Spec{{Name: "a", Command: fake(t, "mute")}}, 1) }()
	h.wait("the successor on its way", func(st []Status) bool { return st[0].Starts == 2 })
	if err := h.Roll(t.Context(), []Spec{{Name: "a", Command: fake(t, "serve", "a")}}, 1); !errors.Is(err, ErrReloading) {
		t.Errorf("a second reload: %v", err)
	}
	if err := h.Stop("a"); err != nil {
		t.Fatal(err)
	}
	var failed *ReloadError
	if err := <-result; !errors.As(err, &failed) || failed.Cause != "stopped" {
		t.Errorf("got %v", err)
	}
	h.wait("stopped", stateIs("a", Stopped))
}

func TestClockRestarts(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "a", Manual: true, Command: fake(t, "serve", "a"), Schedule: &times{2}}}})
	h.wait("started, though it was stopped, and restarted", func(st []Status) bool {
		return st[0].State == Ready && st[0].Renewed == 2 && st[0].Starts >= 1 && st[0].Restarts == 0
	})
}

// times is a schedule with so many moments, soon: a process has all the time it needs to be ready
// after the last.
type times struct{ left int }

func (s *times) Next(t time.Time) time.Time {
	if s.left--; s.left < 0 {
		return time.Time{}
	}
	return t.Add(300 * time.Millisecond)
}

func TestMemoryLimitReplacesTheProcess(t *testing.T) {
	h := run(t, Config{Lasting: true, Specs: []Spec{{Name: "a", Command: fake(t, "serve", "a"), MemoryLimit: 1}}})
	first := h.wait("ready", allReady)[0]
	h.loop.post(h.lookAtMemory)
	h.wait("replaced", func(st []Status) bool { return st[0].State == Ready && st[0].PID != first.PID })
	if e := h.exit(); e.PID != first.PID || !e.Planned {
		t.Errorf("%+v", e)
	}
	if st := h.status("a"); st.Renewed == 0 || st.Restarts != 0 {
		t.Errorf("%+v", st)
	}
	var memory int64
	for cpu := time.Duration(0); cpu <= 0; { // the kernel counts whole ticks
		memory, cpu = Usage(os.Getpid())
	}
	if memory < 1<<20 {
		t.Errorf("this process takes %d bytes", memory)
	}
	if memory, cpu := Usage(1 << 30); memory != 0 || cpu != 0 {
		t.Error("a process that is none takes something")
	}
}

// TestNothingLeaksIntoChildren holds that a child has its own descriptors only, whatever else is
// open here.
func TestNothingLeaksIntoChildren(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc here")
	}
	a := agent(t)
	h := run(t, Config{Lasting: true, Specs: []Spec{
		a,
		{Name: "plain", Command: fake(t, "serve", "a")},
		{Name: "bare", Command: fake(t, "sleep"), Unlined: true, Readiness: Readiness{AtStart: true}, Stdout: &testkit.Output{}},
		{Name: "node", Command: fake(t, "sleep"), Unlined: true, Readiness: Readiness{AtStart: true}, Agent: &Agent{Place: "agent", Hook: channelHook{}}},
	}})
	h.wait("ready", allReady)
	for name, want := range map[string]int{"plain": 4, "bare": 3, "node": 4} {
		pid := h.status(name).PID
		h.wait(fmt.Sprintf("%s with %d descriptors", name, want), func([]Status) bool { // at its start it opens more for a moment
			h.Poke()
			return inherited(t, pid) == want
		})
	}
}

func inherited(t *testing.T, pid int) (n int) {
	t.Helper()
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && !strings.HasPrefix(target, "anon_inode:") && !strings.HasPrefix(target, "/sys/") {
			n++ // the rest is Go's own
		}
	}
	return n
}
