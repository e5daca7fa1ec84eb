package directory

import (
	"testing"
	"time"
)

func TestStateByChecks(t *testing.T) {
	for name, tc := range map[string]struct {
		seen []verdict
		want State
	}{
		"never asked":           {nil, StateStarting},
		"no good answer yet":    {[]verdict{bad, bad, bad}, StateStarting},
		"well":                  {[]verdict{good}, StateReady},
		"one check failed":      {[]verdict{good, bad}, StateReady},
		"two checks failed":     {[]verdict{good, bad, bad}, StateSick},
		"well again":            {[]verdict{good, bad, bad, good}, StateReady},
		"nobody there":          {[]verdict{good, refused}, ""},
		"a port that says no":   {[]verdict{refused}, ""},
		"somebody there again":  {[]verdict{good, refused, good}, StateReady},
		"there, but not itself": {[]verdict{good, refused, bad}, StateSick},
	} {
		var h health
		for _, v := range tc.seen {
			h.checked(v, time.Second)
		}
		if got, shown := h.state(true, time.Now()); got != tc.want || shown != (tc.want != "") {
			t.Errorf("%s: %q, %v", name, got, shown)
		}
		if got, _ := h.state(false, time.Now()); tc.want != "" && got != StateDraining {
			t.Errorf("%s and not listed any more: %q", name, got)
		}
	}
}

func TestChecksComeSoonerWhileAnUpstreamIsNotWell(t *testing.T) {
	var h health
	const every = 5 * time.Second
	if next := h.checked(good, every); next != every {
		t.Errorf("%v after a good check", next)
	}
	for _, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, every, every} {
		if next := h.checked(refused, every); next != want {
			t.Errorf("%v after %d failed checks, want %v", next, h.failed, want)
		}
	}
	if next := new(health).checked(bad, 100*time.Millisecond); next != 100*time.Millisecond {
		t.Errorf("%v with a short interval", next)
	}
}

func TestEjectionsLastLongerEachTime(t *testing.T) {
	now := time.Now()
	h := health{known: true}
	for _, want := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
		h.eject(now)
		if h.out.Sub(now) != want*time.Second {
			t.Fatalf("out for %v, want %v s", h.out.Sub(now), int(want))
		}
		if s, _ := h.state(true, h.out.Add(-1)); s != StateSick {
			t.Errorf("%q before its time is over", s)
		}
		if s, _ := h.state(true, h.out); s != StateReady {
			t.Errorf("%q afterwards", s)
		}
		now = h.out.Add(time.Second)
	}
	now = h.out.Add(h.term)
	if h.eject(now); h.term != ejectShort {
		t.Errorf("out for %v after being well for as long as it was out", h.term)
	}
}
