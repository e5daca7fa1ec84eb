package bench

import (
	"context"
	"math"
	"time"
)

// pace is a schedule with a number of turns per second, the first at the start. After a delay the
// missed turns are due at once.
type pace struct {
	start     time.Time
	perSecond float64
}

// due returns the time of a turn, counted from 0.
func (p pace) due(turn int) time.Time {
	return p.start.Add(time.Duration(float64(turn) / p.perSecond * float64(time.Second)))
}

// turns returns how many turns are due within a time, at least one.
func (p pace) turns(within time.Duration) int {
	return max(int(math.Ceil(within.Seconds()*p.perSecond-1e-9)), 1) // 0.1 s × 30/s is a little more than 3 in floats
}

// wait waits for a turn, and reports whether it came before ctx ended.
func (p pace) wait(ctx context.Context, turn int) bool {
	left := time.Until(p.due(turn))
	if left <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
