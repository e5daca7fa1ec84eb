package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/sidereal-io/sidereal/socketio/packet"
)

// delivery is an event that is sent until it is acknowledged (Config.Retries). Only the first of a
// socket is under way.
type delivery struct {
	unsent
	tries int
	sent  bool // and not answered
	timer *time.Timer
	last  *waiter // who wants the outcome; may be nil
}

// deliveries are a socket's, the first under way. The methods are called under client.mu.
type deliveries struct {
	socket *Socket
	queue  []*delivery
}

// add queues a delivery, and sends it if it's the first.
func (q *deliveries) add(d *delivery) error {
	c := q.socket.client
	if c.closed {
		return ErrClosed
	}
	if err := q.socket.out.reserve(d.size(), c.set.MaxQueueBytes); err != nil {
		return err
	}
	q.queue = append(q.queue, d)
	q.next()
	return nil
}

// next sends the first delivery, if it is not under way.
func (q *deliveries) next() {
	s := q.socket
	if !s.connected || len(q.queue) == 0 || q.queue[0].sent {
		return
	}
	d := q.queue[0]
	d.sent = true
	d.tries++
	w := &waiter{delivery: d}
	if err := s.emitLocked(w, d.body, d.attachments); err != nil {
		q.answered(d, packet.Args{}, err)
		return
	}
	d.timer = time.AfterFunc(s.client.set.AckTimeout, func() {
		s.client.mu.Lock()
		defer s.client.mu.Unlock()
		if id, ok := s.acks.find(w); ok {
			s.acks.take(id)
			q.answered(d, packet.Args{}, ErrAckTimeout)
		}
	})
}

// answered ends one try: with the answer, or an error that calls for another one while there are
// some left. A lost connection leaves the delivery for the next.
func (q *deliveries) answered(d *delivery, args packet.Args, err error) {
	d.sent = false
	if d.timer != nil {
		d.timer.Stop()
	}
	if len(q.queue) == 0 || q.queue[0] != d {
		return
	}
	if err == nil || d.tries > q.socket.client.set.Retries {
		q.queue = q.queue[1:]
		q.socket.out.bytes -= d.size()
		d.finish(q.socket, args, err)
	}
	q.next()
}

// abandon drops a delivery whose outcome nobody waits for any more, unless it is under way.
func (q *deliveries) abandon(w *waiter) {
	for i, d := range q.queue {
		if d.last != w {
			continue
		}
		d.last = nil
		if !d.sent {
			q.socket.out.bytes -= d.size()
			q.queue = slices.Delete(q.queue, i, i+1)
		}
		return
	}
}

// drop ends all deliveries with err.
func (q *deliveries) drop(err error) {
	for _, d := range q.queue {
		d.finish(q.socket, packet.Args{}, err)
	}
	q.queue = nil
}

// finish reports the outcome.
func (d *delivery) finish(s *Socket, args packet.Args, err error) {
	if d.timer != nil {
		d.timer.Stop()
	}
	if d.last != nil {
		d.last.tellLocked(s, args, err)
	}
}

// deliver queues an event for delivery.
func (s *Socket) deliver(w *waiter, event string, args []any) error {
	if packet.Reserved(event) {
		return fmt.Errorf("%w: %q", ErrReserved, event)
	}
	body, attachments, err := packet.AppendEvent(nil, nil, event, args...)
	if err != nil {
		return fmt.Errorf("client: emit %q: %w", event, err)
	}
	s.handlers.now().tellOutgoing(event, body, attachments)
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.deliveries.add(&delivery{unsent: newUnsent(packet.Header{}, body, attachments), last: w})
}
