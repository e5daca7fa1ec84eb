package directory

import (
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestOpenedRatio(t *testing.T) {
	const slot = int64(openingsSlot)
	o := newOpenings()
	at := 100 * slot
	check := func(want float64) {
		t.Helper()
		if got := o.ratio(at, 0); got != want {
			t.Errorf("ratio %v, want %v", got, want)
		}
	}
	open := func(n int) {
		for range n {
			o.opened(at)
		}
	}
	check(0)
	open(openingsLeast - 1)
	at += slot
	check(0) // too few
	open(1)
	check(1)
	o.heard("other", 64, at)
	check(3)
	if got := o.ratio(at, 2); got != 5 {
		t.Errorf("ratio %v, want 5 with two others", got)
	}
	o.heard(o.id, 64, at) // its own event
	o.heard("other", -5, at)
	check(3)
	at += (openingsSlots - 1) * slot
	check(0) // the most are too old
	open(openingsLeast)
	o.heard("other", 1<<62, at)
	if got := o.ratio(at, 0); got > openingsMost {
		t.Errorf("one event made the ratio %v", got)
	}
	at += 1000 * slot
	check(0)
	open(1000)
	check(0) // the others had no time to tell
	at += slot
	check(1)
	at -= 2 * slot // two goroutines
	open(1)
	if n := o.take(); n != 1000+2*openingsLeast+1 {
		t.Errorf("%d are to be told", n)
	}
}

// TestRoutersTellTheirOpenings: each hears of the other's, and not of its own twice.
func TestRoutersTellTheirOpenings(t *testing.T) {
	_, url := mini(t)
	a, _ := door(t, url, "rtra")
	b, _ := door(t, url, "rtrb")
	for i, d := range []*Directory{a, b} {
		for range []int{64, 128}[i] {
			d.Opened()
		}
	}
	close := func(got, want float64) bool { return got > want*0.99 && got < want*1.01 }
	testkit.Until(t, "both know their part", func() bool {
		return close(a.OpenedRatio(), 1+(128+32)/64.0) && close(b.OpenedRatio(), 1+(64+32)/128.0)
	})
	// Other versions' events, and nobody's, change nothing.
	for _, payload := range []string{`{}`, `{"router":"x"}`, `{"router":"x","opened":"many"}`, `{"router":"x","opened":-1}`, `[]`, `{"opened":1e400}`} {
		a.heard([]byte(payload))
	}
	if got := a.OpenedRatio(); got != 0 && !close(got, 1+(128+32)/64.0) {
		t.Errorf("ratio %v after foreign events", got)
	}
}
