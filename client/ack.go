package client

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/sidereal-io/sidereal/client/internal/engine"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// waiter waits for an acknowledgement: EmitWithAck's channel, WithAck's function, or a delivery.
// One of the three is set.
type waiter struct {
	answer   chan answer
	call     func(packet.Args, error)
	delivery *delivery
}

type answer struct {
	args packet.Args
	err  error
}

// tellLocked passes the answer on without blocking.
func (w *waiter) tellLocked(s *Socket, args packet.Args, err error) {
	switch {
	case w.answer != nil:
		w.answer <- answer{args, err} // its buffer has room for the only answer
	case w.call != nil:
		s.in.put(task{do: func() { w.call(args, failureOf(args, err)) }})
	default:
		s.deliveries.answered(w.delivery, args, err)
	}
}

// failureOf returns err, or the failure that the answer reports.
func failureOf(args packet.Args, err error) error {
	if err != nil {
		return err
	}
	return args.Err()
}

// acks has those who wait for acknowledgements, by id. The methods are called under client.mu.
type acks struct {
	next    int64
	waiters map[int64]*waiter
}

// expect gives the waiter an id.
func (a *acks) expect(w *waiter) int64 {
	id := a.next
	a.next++
	if a.waiters == nil {
		a.waiters = make(map[int64]*waiter)
	}
	a.waiters[id] = w
	return id
}

// take removes the waiter of an id. It returns nil if nobody waits.
func (a *acks) take(id int64) *waiter {
	w := a.waiters[id]
	delete(a.waiters, id)
	if len(a.waiters) == 0 {
		a.waiters = nil // a map that was once large keeps its memory
	}
	return w
}

// takeUnless removes the waiters of the ids that keep doesn't, in the order of the questions.
func (a *acks) takeUnless(keep func(id int64) bool) (taken []*waiter) {
	for _, id := range slices.Sorted(maps.Keys(a.waiters)) {
		if !keep(id) {
			taken = append(taken, a.take(id))
		}
	}
	return taken
}

// find returns the id of a waiter.
func (a *acks) find(w *waiter) (id int64, ok bool) {
	for id, x := range a.waiters {
		if x == w {
			return id, true
		}
	}
	return 0, false
}

// failAcksLocked fails the waits for answers to events that were sent. Events in the outbox will
// still be sent.
func (s *Socket) failAcksLocked(err error) {
	for _, w := range s.acks.takeUnless(s.out.has) {
		w.tellLocked(s, packet.Args{}, err)
	}
}

// forget removes a wait that was given up, and its event if it wasn't sent yet.
func (s *Socket) forget(w *waiter) {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	if id, ok := s.acks.find(w); ok {
		s.acks.take(id)
		s.out.remove(id)
	}
	s.deliveries.abandon(w)
}

// Ack answers an event of the server. It returns ErrAnswered if the event was answered before. A
// handler may keep it and call it later. As a handler's parameter it is nil if the server doesn't
// wait for an answer. Once the connection has gone, nobody gets the answer.
type Ack func(args ...any) error

// pendingAck is what answers one event.
type pendingAck struct {
	socket *Socket
	conn   *engine.Conn
	id     int64
	given  atomic.Bool
}

// newAck returns the answer function of an event, or nil if no answer was asked for.
func newAck(s *Socket, t task) Ack {
	if t.id == packet.NoID {
		return nil
	}
	a := &pendingAck{socket: s, conn: t.conn, id: t.id}
	return a.answer
}

// answer sends the acknowledgement on the connection of its event.
func (a *pendingAck) answer(args ...any) error {
	if a.given.Swap(true) {
		return ErrAnswered
	}
	p, err := packet.EncodeArgs(args...)
	if err != nil {
		return err
	}
	s := a.socket
	h := packet.Header{Type: packet.Ack, Attachments: len(p.Attachments), Namespace: s.name, ID: a.id}
	if len(p.Attachments) > 0 {
		h.Type = packet.BinaryAck
	}
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != a.conn {
		return ErrDisconnected
	}
	return ignoreClosed(s.sendLocked(h, p.JSON, p.Attachments))
}
