package bench

import (
	"context"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Bounds of the unacknowledged events in a load with a rate, per client and in all. Further events
// wait, and their latency includes the wait.
const (
	maxOfEach   = 1 << 12
	maxUnderWay = 1 << 16
)

// load makes the clients emit until the time is over, ctx ends or no client is left.
func (r *run) load(ctx context.Context) {
	switch {
	case r.Event == "":
		r.hold(ctx)
	case r.Rate > 0:
		r.openLoop(ctx)
	default:
		r.closedLoop(ctx)
	}
}

// hold only keeps the connections.
func (r *run) hold(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.Duration)
	defer cancel()
	for _, s := range r.sessions {
		select {
		case <-s.gone:
		case <-ctx.Done():
			return
		}
	}
}

// closedLoop keeps one event per client under way.
func (r *run) closedLoop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.Duration)
	defer cancel()
	for _, s := range r.sessions {
		r.emitAgain(ctx, s)
	}
	r.hold(ctx)
}

// emitAgain emits an event, and the next one when it's acknowledged, until ctx ends. After an event
// fails, the client emits no more.
func (r *run) emitAgain(ctx context.Context, s *session) {
	r.emit(s, time.Now(), func(err error) {
		if err == nil && ctx.Err() == nil {
			r.emitAgain(ctx, s)
		}
	})
}

// openLoop emits events when they're due, one client after the other. Events that couldn't leave by
// the client's Timeout after the end count as failed.
func (r *run) openLoop(ctx context.Context) {
	turns := pace{start: time.Now(), perSecond: r.Rate}
	all := turns.turns(r.Duration)
	limited, cancel := context.WithDeadline(ctx, turns.start.Add(r.Duration+r.Client.Timeout))
	defer cancel()
	slots := make(chan struct{}, min(maxOfEach*max(len(r.sessions), 1), maxUnderWay))
	free := func(error) { <-slots }
	left := ring(r.sessions)
	for turn := range all {
		if !turns.wait(limited, turn) || !acquire(limited, slots) {
			if ctx.Err() == nil {
				r.failed.addMany("not sent: the load is more than can be sent, or acknowledgements don't come", all-turn)
			}
			return
		}
		s := left.next()
		if s == nil {
			if len(r.sessions) > 0 {
				r.failed.addMany("not sent: no client is left", all-turn)
			}
			return
		}
		r.emit(s, turns.due(turn), free)
	}
}

func acquire(ctx context.Context, slots chan<- struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// ring holds the sessions in the order of their turns.
type ring []*session

// next returns the session that has waited longest, or nil if none is left.
func (r *ring) next() *session {
	for len(*r) > 0 {
		s := (*r)[0]
		*r = (*r)[1:]
		if !s.isGone() {
			*r = append(*r, s)
			return s
		}
	}
	return nil
}

// emit emits one event and calls then when it's acknowledged or has failed.
func (r *run) emit(s *session, due time.Time, then func(error)) {
	r.pending.Add(1)
	err := s.socket.WithAck(func(answer packet.Args, err error) {
		defer r.pending.Done()
		r.answered(due, answer, err)
		then(err)
	}).Emit(r.Event, r.payload)
	if err != nil {
		r.failed.add(r.kind(err))
		then(err)
		r.pending.Done()
		return
	}
	r.sent.Add(1)
	r.bytesSent.Add(int64(r.encoded))
}

// answered counts the end of an event.
func (r *run) answered(due time.Time, answer packet.Args, err error) {
	switch {
	case err == nil:
		r.latency.add(time.Since(due))
		r.bytesReceived.Add(int64(sizeOf(answer.Payload())))
		r.acknowledged.Add(1)
	case r.closing.Load():
		r.failed.add(r.unanswered())
	default:
		r.failed.add(r.kind(err))
	}
}

// sizeOf returns the size of values in bytes, as JSON and binary.
func sizeOf(values packet.Payload) int {
	n := len(values.JSON) - len("[]")
	for _, a := range values.Attachments {
		n += len(a)
	}
	return n
}
