package bench

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnsComeWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		p := pace{start: start, perSecond: 4}
		for turn, want := range []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond} {
			if !p.wait(t.Context(), turn) || time.Since(start) != want {
				t.Errorf("turn %d came after %v, want %v", turn, time.Since(start), want)
			}
		}
		time.Sleep(10 * time.Second) // fake: who was late
		now := time.Now()
		for turn := 3; turn < 40; turn++ {
			p.wait(t.Context(), turn)
		}
		if waited := time.Since(now); waited != 0 {
			t.Errorf("turns that were due took %v more", waited)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := pace{start: time.Now(), perSecond: 0.1}
		start := time.Now()
		if p.wait(ctx, 1) {
			t.Error("the turn came before it was due")
		}
		if p.wait(ctx, 0) {
			t.Error("a turn came after the end")
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("the wait ended after %v", took)
		}
	})
}

func TestTurnsWithin(t *testing.T) {
	for _, c := range []struct {
		perSecond float64
		within    time.Duration
		want      int
	}{
		{1000, 10 * time.Second, 10_000}, {30, 100 * time.Millisecond, 3}, {3, 500 * time.Millisecond, 2}, {0.01, time.Second, 1},
	} {
		if got := (pace{perSecond: c.perSecond}).turns(c.within); got != c.want {
			t.Errorf("%v/s in %v: %d, want %d", c.perSecond, c.within, got, c.want)
		}
	}
}
