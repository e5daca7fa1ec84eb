package client

import (
	"slices"

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
		s.putLocked(task{do: func() { w.call(args, failureOf(args, err)) }})
	default:
		s.answeredLocked(w.delivery, args, err)
	}
}

// failureOf returns err, or the failure that the answer reports.
func failureOf(args packet.Args, err error) error {
	if err != nil {
		return err
	}
	return args.Err()
}

// expectLocked gives the waiter an acknowledgement id.
func (s *Socket) expectLocked(w *waiter) int64 {
	id := s.nextAck
	s.nextAck++
	if s.acks == nil {
		s.acks = make(map[int64]*waiter)
	}
	s.acks[id] = w
	return id
}

// ackedLocked handles an acknowledgement. It ignores one that nobody waits for.
func (s *Socket) ackedLocked(id int64, args packet.Args) {
	w, ok := s.acks[id]
	if !ok {
		return
	}
	delete(s.acks, id)
	if len(s.acks) == 0 {
		s.acks = nil // a map that was once large keeps its memory
	}
	w.tellLocked(s, args, nil)
}

// failAcksLocked fails the waits for answers to events that were sent. Events in unsent will
// still be sent.
func (s *Socket) failAcksLocked(err error) {
	var failed []int64
	for id := range s.acks {
		if !slices.ContainsFunc(s.unsent, func(u unsent) bool { return u.head.ID == id }) {
			failed = append(failed, id)
		}
	}
	slices.Sort(failed) // in the order of the questions
	for _, id := range failed {
		w := s.acks[id]
		delete(s.acks, id)
		w.tellLocked(s, packet.Args{}, err)
	}
}

// forget removes a wait that was given up, and its event if it wasn't sent yet.
func (s *Socket) forget(w *waiter) {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	for id, x := range s.acks {
		if x != w {
			continue
		}
		delete(s.acks, id)
		s.unsent = slices.DeleteFunc(s.unsent, func(u unsent) bool {
			if u.head.ID != id {
				return false
			}
			s.unsentN -= u.size()
			return true
		})
	}
	s.abandonLocked(w)
}

// Ack answers an event of the server. It returns ErrAnswered if the event was answered before. A
// handler may keep it and call it later. As a handler's parameter it is nil if the server doesn't
// wait for an answer. Once the connection has gone, nobody gets the answer.
type Ack func(args ...any) error

// reply sends an acknowledgement on the connection of its event.
func (s *Socket) reply(conn *engine.Conn, id int64, args []any) error {
	p, err := packet.EncodeArgs(args...)
	if err != nil {
		return err
	}
	h := packet.Header{Type: packet.Ack, Attachments: len(p.Attachments), Namespace: s.name, ID: id}
	if len(p.Attachments) > 0 {
		h.Type = packet.BinaryAck
	}
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != conn {
		return ErrDisconnected
	}
	return ignoreClosed(s.sendLocked(h, p.JSON, p.Attachments))
}
