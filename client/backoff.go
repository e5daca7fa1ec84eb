package client

import (
	"math/rand/v2"
	"time"
)

// backoff is the wait before the attempt after `failed` failed ones: the delay doubles from
// ReconnectionDelay up to ReconnectionDelayMax, and is spread by RandomizationFactor to both sides,
// but not beyond the maximum. random is in [0,1).
func (s *settings) backoff(failed int, random float64) time.Duration {
	top := float64(s.ReconnectionDelayMax)
	d := min(float64(s.ReconnectionDelay)*float64(uint64(1)<<min(failed, 40)), top)
	f := max(s.RandomizationFactor, 0)
	low, high := d*(1-f), min(d*(1+f), top)
	return time.Duration(low + (high-low)*random)
}

// wait returns a random wait for this client.
func (s *settings) wait(failed int) time.Duration {
	return s.backoff(failed, rand.Float64())
}
