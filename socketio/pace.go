package socketio

import (
	"sync/atomic"
	"time"
)

// pace measures how long a handler's events take, as a debt: the time beyond fairTime adds to it,
// and the rest of fairTime pays it back. While there is no debt, events are dispatched on the
// goroutine that reads for all sockets. A handler that blocks now and then rarely delays that
// goroutine, since it needs many quick events for each slow one. A handler that always blocks never
// does, since it starts with a debt. The methods may be called concurrently.
type pace struct{ debt atomic.Int64 } // ns

const (
	// fairTime is the time that an event may take, on average. Beyond it, starting a goroutine,
	// 5 us, is worth it.
	fairTime = 50 * time.Microsecond
	// firstDebt takes 20 events that need no time.
	firstDebt = 20 * fairTime
	// mostCredit is the time that the scheduler of a busy machine may take from a quick
	// handler.
	mostCredit = 100 * fairTime
	// mostDebt takes a second of quick events, at 10,000 each second.
	mostDebt = 10_000 * fairTime
)

func (p *pace) begin() { p.debt.Store(int64(firstDebt)) }

// brief reports whether the next event will probably be brief.
func (p *pace) brief() bool { return p.debt.Load() <= 0 }

// took counts an event. It may miss some of several simultaneous ones.
func (p *pace) took(d time.Duration) {
	was := p.debt.Load()
	if is := min(max(was+int64(d-fairTime), -int64(mostCredit)), int64(mostDebt)); is != was {
		p.debt.Store(is)
	}
}
