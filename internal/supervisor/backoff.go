package supervisor

import "time"

const (
	steady    = 10 * time.Second // a process that lived so long was well: its end counts as the first again
	firstWait = 100 * time.Millisecond
	maxWait   = 15 * time.Second
	loop      = 5 // ends in a row from which on a process counts as crash-looping
)

// backoff is the restart rule of one place: at once after the first end, then 100 ms doubled each time up to 15 s, until a
// process lived for 10 s.
type backoff struct{ failures int }

// next tells how long to wait after a process that lived for uptime.
func (b *backoff) next(uptime time.Duration) time.Duration {
	if uptime >= steady {
		b.failures = 0
	}
	b.failures++
	if b.failures == 1 {
		return 0
	}
	if shift := b.failures - 2; shift < 8 { // 100 ms << 8 is past the bound
		return min(firstWait<<shift, maxWait)
	}
	return maxWait
}

func (b *backoff) looping() bool { return b.failures >= loop }
