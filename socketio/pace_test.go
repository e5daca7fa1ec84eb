package socketio

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	for _, c := range []struct {
		name  string
		every func(n int) time.Duration // what the nth event takes
		least int                       // how many of the last 1,000 are brief
		most  int
	}{
		{"quick", func(int) time.Duration { return time.Microsecond }, 1000, 1000},
		{"waits for its client", func(int) time.Duration { return 200 * time.Microsecond }, 0, 0},
		{"just too long", func(int) time.Duration { return fairTime + time.Microsecond }, 0, 0},
		{"blocks once in 20", once(20, 10*time.Millisecond), 0, 100},
		{"blocks once in 1,000", once(1000, 10*time.Millisecond), 800, 1000},
		{"robbed of its core once in 500", once(500, 3*time.Millisecond), 1000, 1000},
	} {
		var p pace
		p.begin()
		brief := 0
		for n := range 10_000 {
			if p.brief() && n == 0 {
				t.Errorf("%s: trusted from the beginning", c.name)
			}
			if p.brief() && n >= 9000 {
				brief++
			}
			p.took(c.every(n))
		}
		if brief < c.least || brief > c.most {
			t.Errorf("%s: %d of 1,000 brief", c.name, brief)
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
