package directory

import "time"

const (
	failuresMost = 2 // failed checks in a row; one alone may have met a pause
	maxBroken    = 5 // failed requests in a row
	ejectShort   = 5 * time.Second
	ejectLong    = 5 * time.Minute
	recheckShort = 500 * time.Millisecond
)

// verdict is how a check ended.
type verdict uint8

const (
	good    verdict = iota
	bad             // no answer in time, or a wrong one
	refused         // nobody listens: the process has ended
)

func (v verdict) String() string { return [...]string{"good", "bad", "refused"}[v] }

// health is the result of the checks and requests of an upstream. The caller passes the times.
type health struct {
	known  bool // a check has succeeded
	down   bool // it refuses connections
	failed int  // checks in a row

	ejected int           // times in a row
	term    time.Duration // of the last one
	out     time.Time     // its end
}

// checked takes the result of a check and returns the time until the next: every, or less while the
// upstream fails.
func (h *health) checked(v verdict, every time.Duration) (next time.Duration) {
	if v == good {
		h.known, h.down, h.failed = true, false, 0
		return every
	}
	h.down = v == refused
	h.failed++
	return min(every, recheckShort<<min(h.failed-1, 16))
}

// refused notes that the upstream refused a router's connection.
func (h *health) refused() { h.down, h.failed = true, max(h.failed, 1) }

// eject ejects the upstream, for longer each time. One that was well for as long as its last
// ejection took begins anew.
func (h *health) eject(now time.Time) {
	if now.Sub(h.out) >= h.term {
		h.ejected = 0
	}
	h.term = min(ejectShort<<min(h.ejected, 16), ejectLong)
	h.ejected++
	h.out = now.Add(h.term)
}

// sick reports whether new sessions should go elsewhere.
func (h *health) sick(now time.Time) bool { return h.failed >= failuresMost || now.Before(h.out) }

// state returns the upstream's state in the table. Shown is false if the table omits it.
func (h *health) state(listed bool, now time.Time) (s State, shown bool) {
	switch {
	case h.down:
		return "", false
	case !listed:
		return StateDraining, true
	case !h.known:
		return StateStarting, true
	case h.sick(now):
		return StateSick, true
	}
	return StateReady, true
}
