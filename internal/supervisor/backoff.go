package supervisor

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	steady    = 10 * time.Second // after so long a life, an end counts as the first again
	firstWait = 100 * time.Millisecond
	maxWait   = 15 * time.Second
	loopEnds  = 5 // this many ends in a row are a crash loop
)

// Backoff says how the waits between processes grow. The first end has no wait, the second has
// First, and each further one Factor times as long, up to Max. A process that lives for Steady
// starts the count anew.
type Backoff struct {
	First  time.Duration // 0: 100 ms
	Max    time.Duration // 0: 15 s
	Factor float64       // 0: 2
	Steady time.Duration // 0: 10 s

	// Always gives the first end a wait, too.
	Always bool

	// Jitter is the random part of each wait, so that processes that ended together don't start
	// together: 0.2 waits between 80 and 120 %. Zero: none.
	Jitter float64
}

// backoff counts the quick ends at one place.
type backoff struct {
	rule     Backoff
	failures int
}

// next returns how long to wait after a process that lived for uptime.
func (b *backoff) next(uptime time.Duration) time.Duration {
	r := b.rule
	if uptime >= orElse(r.Steady, steady) {
		b.failures = 0
	}
	b.failures++
	n := b.failures - 2
	if r.Always {
		n++
	}
	if n < 0 {
		return 0
	}
	factor := r.Factor
	if factor == 0 {
		factor = 2
	}
	wait := float64(orElse(r.First, firstWait)) * math.Pow(factor, float64(n))
	wait = min(wait, float64(orElse(r.Max, maxWait)))
	if r.Jitter > 0 {
		wait *= 1 + r.Jitter*(2*rand.Float64()-1)
	}
	return time.Duration(wait)
}

func (b *backoff) looping() bool { return b.failures >= loopEnds }

func orElse(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// lives is a sliding window over how long the last processes of a place lived. Waits between them
// don't count. The operator sets its size, which may be large, and every status asks for unstable.
type lives struct {
	size  int           // of the window; 0: it keeps nothing
	least time.Duration // a life that counts as stable
	last  []time.Duration
	next  int // once the window is full: the oldest
	short int // how many of last were too short
}

// rule sets the window. The oldest lives, which no longer fit, are forgotten.
func (l *lives) rule(size int, least time.Duration) {
	if size == l.size && least == l.least {
		return
	}
	old := append(slices.Clone(l.last[l.next:]), l.last[:l.next]...)
	*l = lives{size: size, least: least}
	for _, d := range old[max(len(old)-size, 0):] {
		l.add(d)
	}
}

func (l *lives) add(d time.Duration) {
	switch {
	case l.size == 0:
		return
	case len(l.last) < l.size:
		l.last = append(l.last, d)
	default:
		if l.last[l.next] < l.least {
			l.short--
		}
		l.last[l.next] = d
		l.next = (l.next + 1) % l.size
	}
	if d < l.least {
		l.short++
	}
}

func (l *lives) forget() { *l = lives{size: l.size, least: l.least} }

// unstable counts the lives that were too short.
func (l *lives) unstable() int { return l.short }

// looping reports whether the window is full and its lives were too short on the whole.
func (l *lives) looping() bool {
	if l.size == 0 || len(l.last) < l.size {
		return false
	}
	need := float64(l.size) * float64(l.least) // which may be more than a Duration holds
	for _, d := range l.last {
		if need -= float64(d); need <= 0 {
			return false
		}
	}
	return need > 0
}
