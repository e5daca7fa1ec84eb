package supervisor

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/lifeline"
	"github.com/sidereal-io/sidereal/internal/testkit"
)

// TestFrozenProcessIsToldAndReplaced: others are told that it is silent, and it is killed long
// before its AliveTimeout.
func TestFrozenProcessIsToldAndReplaced(t *testing.T) {
	told := make(chan Silence, 64)
	h := run(t, Config{
		Lasting: true, OnSilent: func(s Silence) { told <- s },
		Specs: []Spec{{Name: "a", AliveTimeout: time.Hour, FreezeTimeout: 2 * time.Second, Command: fake(t, "serve", "a")}},
	})
	first := h.wait("ready", allReady)[0].PID
	awaitBeat(h)
	syscall.Kill(first, syscall.SIGSTOP)
	if s := testkit.Receive(t, "word of the silence", told); s != (Silence{"a", "wwww", true}) {
		t.Errorf("%+v", s)
	}
	e := h.exit()
	if e.PID != first || e.Cause != "signal: killed" || e.Planned {
		t.Errorf("%+v", e)
	}
	h.wait("replaced", func(st []Status) bool { return st[0].State == Ready && st[0].PID != first })
}

// awaitBeat names the first process as worker wwww and returns once it has beaten.
func awaitBeat(h *host) {
	h.wait("heard of", func([]Status) bool {
		heard := make(chan bool, 1)
		h.loop.post(func() {
			p := h.places[0].current
			p.note(lifeline.Worker, "wwww")
			heard <- p.pulse.last.Load() != 0
		})
		return <-heard
	})
}

// TestProcessThatGoesOnIsHeardAgain, and is not killed.
func TestProcessThatGoesOnIsHeardAgain(t *testing.T) {
	told := make(chan Silence, 64)
	h := run(t, Config{
		Lasting: true, OnSilent: func(s Silence) { told <- s },
		Specs: []Spec{{Name: "a", AliveTimeout: time.Hour, Command: fake(t, "serve", "a")}},
	})
	pid := h.wait("ready", allReady)[0].PID
	awaitBeat(h)
	syscall.Kill(pid, syscall.SIGSTOP)
	if s := testkit.Receive(t, "word of the silence", told); !s.Silent {
		t.Errorf("%+v", s)
	}
	syscall.Kill(pid, syscall.SIGCONT)
	for s := testkit.Receive(t, "word that it is heard", told); s.Silent; s = testkit.Receive(t, "word that it is heard", told) {
	}
	if st := h.status("a"); st.PID != pid || st.Restarts != 0 {
		t.Errorf("%+v", st)
	}
}

// TestPauseOfTheSupervisorIsNobodysSilence: the machine slept, or the supervisor was stopped, or
// starved.
func TestPauseOfTheSupervisorIsNobodysSilence(t *testing.T) {
	s, err := New(Config{OnSilent: func(s Silence) { t.Errorf("told: %+v", s) }})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	p := &process{sup: s, spec: &Spec{Name: "a", AliveTimeout: 15 * time.Second, FreezeTimeout: 3 * time.Second}, attrs: map[string]string{lifeline.Worker: "w"}}
	p.pulse.every.Store(int64(lifeline.BeatInterval))
	p.pulse.last.Store(now.UnixNano())
	s.running[p] = true
	s.lookAfter(now)
	for range 100 {
		now = now.Add(time.Minute)
		s.lookAfter(now)
		now = now.Add(lookInterval)
		s.lookAfter(now)
		p.pulse.last.Store(now.UnixNano())
	}
	if p.pulse.silent || p.pulse.stuck != 0 {
		t.Error("blamed")
	}
}

func TestFrozenIsNotStarved(t *testing.T) {
	if Frozen(os.Getpid()) {
		t.Error("this process runs")
	}
	cmd := exec.Command("/bin/sh", "-c", "kill -STOP $$")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Until(t, "a stopped process to be frozen", func() bool { return Frozen(cmd.Process.Pid) })
	cmd.Process.Signal(syscall.SIGCONT)
	cmd.Wait()
	if Frozen(cmd.Process.Pid) {
		t.Error("one that is gone is frozen")
	}
}
