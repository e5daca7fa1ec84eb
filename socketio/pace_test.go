package socketio

import (
	"testing"
	"time"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

func TestPace(t *testing.T) {
	for _, c := range []struct {
		name  string
		every func(n int) time.Duration // what the nth event takes
		least int                       // how many of the last 1,000 are brief
		most  int
		short bool // whether most of them are short, or few
	}{
		{"quick", func(int) time.Duration { return time.Microsecond }, 1000, 1000, true},
		{"emits to a small room", func(int) time.Duration { return 80 * time.Microsecond }, 0, 0, true},
		{"just too long", func(int) time.Duration { return briefTime + time.Microsecond }, 0, 0, true},
		{"not short either", func(int) time.Duration { return shortTime + time.Microsecond }, 0, 0, false},
		{"blocks once in 20", once(20, 10*time.Millisecond), 0, 100, false},
		{"blocks once in 1,000", once(1000, 10*time.Millisecond), 800, 1000, true},
		{"robbed of its core once in 500", once(500, 3*time.Millisecond), 1000, 1000, true},
	} {
		var p pace
		p.begin()
		brief, short := 0, 0
		for n := range 10_000 {
			if p.within(eventloop.Short) && n == 0 {
				t.Errorf("%s: trusted from the beginning", c.name)
			}
			if p.within(eventloop.Brief) && n >= 9000 {
				brief++
			}
			if p.within(eventloop.Short) && n >= 9000 {
				short++
			}
			p.took(c.every(n))
		}
		if brief < c.least || brief > c.most {
			t.Errorf("%s: %d of 1,000 brief", c.name, brief)
		}
		if c.short && short < 800 || !c.short && short > 100 {
			t.Errorf("%s: %d of 1,000 short", c.name, short)
		}
	}
}

// once is an event that takes d once in n times and 5 us else.
func once(n int, d time.Duration) func(int) time.Duration {
	return func(i int) time.Duration {
		if i%n == n-1 {
			return d
		}
		return 5 * time.Microsecond
	}
}
