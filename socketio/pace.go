package socketio

import (
	"sync/atomic"
	"time"
)

// pace is how long a handler's events take, kept as a debt: what one takes beyond fairTime adds to
// it, what one leaves of that pays it back. While there is none, events are dispatched on the
// goroutine that reads for all sockets. A handler that blocks now and then holds that up seldom
// enough, since it has to earn every time by many that are quick; one that always blocks never
// does, since it begins with a debt. Its methods may be called concurrently.
type pace struct{ debt atomic.Int64 } // ns

const (
	// fairTime is what an event may take, on average. More is worth the start of a goroutine, 5 us.
	fairTime = 50 * time.Microsecond
	// firstDebt is 20 events that take no time.
	firstDebt = 20 * fairTime
	// mostCredit is what the scheduler of a busy machine may take away from a handler that is
	// quick.
	mostCredit = 100 * fairTime
	// mostDebt is a second of quick events at 10,000 in one.
	mostDebt = 10_000 * fairTime
)

func (p *pace) begin() { p.debt.Store(int64(firstDebt)) }

// brief reports whether the next event can be expected to be.
func (p *pace) brief() bool { return p.debt.Load() <= 0 }

// took counts an event. Of several at the same time some may be missed.
func (p *pace) took(d time.Duration) {
	was := p.debt.Load()
	if is := min(max(was+int64(d-fairTime), -int64(mostCredit)), int64(mostDebt)); is != was {
		p.debt.Store(is)
	}
}
