package directory

import (
	"strconv"
	"testing"

	"github.com/sidereal-io/sidereal/internal/testkit"
)

func TestOpenedRatio(t *testing.T) {
	const slot = int64(openingsSlot)
	o := newOpenWindow()
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
	check(0) // nothing known of the others
	o.counted(32, 1000, at)
	check(1)
	o.counted(0, 1064, at)
	check(3)
	if got := o.ratio(at, 2); got != 5 {
		t.Errorf("ratio %v, want 5 with two others", got)
	}
	o.counted(64, 1128, at) // all its own
	o.counted(0, 7, at)     // Redis has lost the counter
	o.counted(0, 7, at)
	check(3)
	at += (openingsSlots - 1) * slot
	check(0) // the most are too old
	open(openingsLeast)
	o.counted(0, 1<<62, at)
	if got := o.ratio(at, 0); got < 1000 || got > openingsMost {
		t.Errorf("one answer made the ratio %v", got)
	}
	at += 1000 * slot
	check(0)
	open(1000)
	check(0) // the others had no time to tell
	at += slot
	o.counted(0, 1<<62+1000, at) // when they opened theirs isn't known
	check(1)
	o.unheard(0)
	check(0)
	o.counted(0, 5, at)
	check(1)
	at -= 2 * slot // two goroutines
	open(1)
	if n := o.take(); n != 1000+2*openingsLeast+1 {
		t.Errorf("%d are to be told", n)
	}
}

// TestRoutersTellTheirOpenings: each hears of the other's, and not of its own twice.
func TestRoutersTellTheirOpenings(t *testing.T) {
	t.Parallel()
	_, url := mini(t)
	a, _ := door(t, url, "rtra")
	b, _ := door(t, url, "rtrb")
	routers := []*Directory{a, b}
	for _, d := range routers {
		testkit.Until(t, "the counter to be known", func() bool {
			d.openings.lately.mu.Lock()
			defer d.openings.lately.mu.Unlock()
			return d.openings.lately.known
		})
	}
	near := func(got, want float64) bool { return got > want*0.99 && got < want*1.01 }
	testkit.Until(t, "both know their part", func() bool {
		if !a.openings.lately.opens(a.now()) && !b.openings.lately.opens(b.now()) { // not yet, or too long ago on a busy machine
			for i, d := range routers {
				for range []int{64, 128}[i] {
					d.Opened()
				}
			}
		}
		return near(a.OpenedRatio(), 1+(128+32)/64.0) && near(b.OpenedRatio(), 1+(64+32)/128.0)
	})
}

// TestOpeningsRepairTheirCounter: somebody else's value in its place is removed.
func TestOpeningsRepairTheirCounter(t *testing.T) {
	t.Parallel()
	m, url := mini(t)
	d, _ := door(t, url, "rtra")
	for _, spoil := range []func() error{
		func() error { return m.Set(d.keys.opened(), "many") },
		func() error { m.Del(d.keys.opened()); _, err := m.SetAdd(d.keys.opened(), "x"); return err },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		for range openingsLeast {
			d.Opened()
		}
		testkit.Until(t, "the sessions to be counted", func() bool {
			text, err := m.Get(d.keys.opened())
			n, _ := strconv.Atoi(text)
			return err == nil && n >= openingsLeast
		})
	}
}
