package directory

import (
	"testing"
	"time"
)

// TestSilentWorkersGetNothingNew, on any host, until they are heard again.
func TestSilentWorkersGetNothingNew(t *testing.T) {
	t.Parallel()
	_, url := mini(t)
	a, b := node(t, url), node(t, url)
	first, _ := join(t, a, Worker{}, a, b)
	second, _ := join(t, a, Worker{}, a, b)
	a.WorkerSilent(first.ID(), true)
	if w := a.Workers().Get(first.ID()); w.State != StateSick {
		t.Errorf("here it is %s", w.State)
	}
	awaitState(t, b, first.ID(), StateSick)
	a.WorkerSilent(second.ID(), true) // all of them: it is the machine
	awaitState(t, b, first.ID(), StateReady)
	awaitState(t, b, second.ID(), StateReady)
	a.WorkerSilent(second.ID(), false)
	awaitState(t, b, first.ID(), StateSick)
	a.WorkerSilent(first.ID(), false)
	awaitState(t, b, first.ID(), StateReady)
	awaitState(t, a, first.ID(), StateReady)
	a.WorkerSilent("____", true) // nobody
}

// TestSilenceEndsByItself where nobody says it again: the supervisor has ended, or its word is
// lost.
func TestSilenceEndsByItself(t *testing.T) {
	s := newSky(t)
	s.beat("aaaa", 0)
	s.beat("bbbb", 0)
	s.look(0)
	if !s.r.quiet("aaaa", true, s.now) || s.r.quiet("aaaa", true, s.now) || s.r.quiet("cccc", true, s.now) {
		t.Error("a silence is news once")
	}
	s.expect("aaaa", StateSick)
	s.beat("aaaa", 7)
	s.look(silenceFor)
	s.expect("aaaa", StateSick)
	if n := s.look(time.Nanosecond); !n.changed {
		t.Error("no news")
	}
	s.expect("aaaa", StateReady)
	s.r.quiet("aaaa", true, s.now)
	if !s.r.quiet("aaaa", false, s.now.Add(silenceFor+time.Second)) { // before a look has seen that it ended
		t.Error("the table still has it as silent")
	}
}
