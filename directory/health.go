package directory

import "time"

const (
	failuresMost = 2 // checks in a row without a good answer: one may have met a pause
	brokenMost   = 5 // requests in a row without one
	ejectShort   = 5 * time.Second
	ejectLong    = 5 * time.Minute
	recheckShort = 500 * time.Millisecond
)

// verdict is how a check ended.
type verdict uint8

const (
	good    verdict = iota
	bad             // no answer in time, or one that is no good
	refused         // nobody listens: the process has ended
)

func (v verdict) String() string { return [...]string{"good", "bad", "refused"}[v] }

// health is what checks and requests have shown of a backend. Its times are the caller's.
type health struct {
	known  bool // has had a good answer
	down   bool // refuses connections
	failed int  // checks in a row that were not good

	ejected int           // times in a row
	term    time.Duration // of the last one
	out     time.Time     // its end
}

// checked takes the result of a check and says when the next one is due: as a rule after every, sooner while the backend
// is not well.
func (h *health) checked(v verdict, every time.Duration) (next time.Duration) {
	if v == good {
		h.known, h.down, h.failed = true, false, 0
		return every
	}
	h.down = v == refused
	h.failed++
	return min(every, recheckShort<<min(h.failed-1, 16))
}

// refused takes a connection that a router was refused.
func (h *health) refused() { h.down, h.failed = true, max(h.failed, 1) }

// eject takes the backend out, for longer each time. A backend that was well for as long as it was out begins anew.
func (h *health) eject(now time.Time) {
	if now.Sub(h.out) >= h.term {
		h.ejected = 0
	}
	h.term = min(ejectShort<<min(h.ejected, 16), ejectLong)
	h.ejected++
	h.out = now.Add(h.term)
}

// sick tells whether new sessions would better go elsewhere.
func (h *health) sick(now time.Time) bool { return h.failed >= failuresMost || now.Before(h.out) }

// state is the backend's state in the table; shown is false for one that is not there at all.
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
