package socketio

import (
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// pace measures how long a handler's events take. Brief events are dispatched on the goroutine that
// reads for all sockets, and short ones if nothing else waits for that goroutine. A handler that
// blocks now and then rarely delays it, since it needs many quick events for each slow one. A
// handler that always blocks never does, since it starts with a debt. The methods may be called
// concurrently.
type pace struct{ brief, short debt }

const (
	// briefTime is how long a brief event takes, on average. Beyond it, starting a goroutine, 5 us,
	// is worth it.
	briefTime = 50 * time.Microsecond
	// shortTime is how long a short event takes, on average. In a process that is otherwise idle, a
	// goroutine wakes another thread, which costs some 30 us. An emit to a room of 10 takes 80 us.
	shortTime = 300 * time.Microsecond
)

func (p *pace) begin() {
	p.brief.begin(briefTime)
	p.short.begin(shortTime)
}

// within reports whether the next event is probably within the limit.
func (p *pace) within(limit eventloop.Limit) bool {
	return !p.brief.owes() || limit == eventloop.Short && !p.short.owes()
}

// took counts an event. It may miss some of several simultaneous ones.
func (p *pace) took(d time.Duration) {
	p.brief.took(d, briefTime)
	if d >= blockedTime {
		d *= blockedWeight
	}
	p.short.took(d, shortTime)
}

// debt sums up events: the time beyond a fair time adds to it, the rest of the fair time pays it
// back.
type debt struct{ ns atomic.Int64 }

const (
	// firstDebt is how many events that need no time pay the first debt.
	firstDebt = 20
	// mostCredit is what the scheduler of a busy machine may take from a quick handler, in fair
	// times.
	mostCredit = 100
	// mostDebt is a second of quick events, at 10,000 each second.
	mostDebt = 10_000
	// blockedTime is how long an event may take before another goroutine reads in its place. Longer
	// ones count blockedWeight times as short ones, so that as many quick events make up for it.
	blockedTime   = time.Millisecond
	blockedWeight = 6
)

func (o *debt) begin(fair time.Duration) { o.ns.Store(int64(firstDebt * fair)) }

func (o *debt) owes() bool { return o.ns.Load() > 0 }

func (o *debt) took(d, fair time.Duration) {
	was := o.ns.Load()
	if is := min(max(was+int64(d-fair), -int64(mostCredit*fair)), int64(mostDebt*fair)); is != was {
		o.ns.Store(is)
	}
}
