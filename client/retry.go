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

// deliver queues an event for delivery.
func (s *Socket) deliver(w *waiter, event string, args []any) error {
	if packet.Reserved(event) {
		return fmt.Errorf("%w: %q", ErrReserved, event)
	}
	body, attachments, err := packet.AppendEvent(nil, nil, event, args...)
	if err != nil {
		return fmt.Errorf("client: emit %q: %w", event, err)
	}
	s.tellOutgoing(event, body, attachments)
	d := &delivery{unsent: unsent{body: body}, last: w}
	for _, a := range attachments {
		d.attachments = append(d.attachments, slices.Clone(a))
	}
	c := s.client
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return ErrClosed
	case s.unsentN+d.size() > c.set.MaxQueueBytes:
		return ErrQueueFull
	}
	s.unsentN += d.size()
	s.delivery = append(s.delivery, d)
	s.deliverLocked()
	return nil
}

// deliverLocked sends the first delivery, if it is not under way.
func (s *Socket) deliverLocked() {
	if !s.connected || len(s.delivery) == 0 || s.delivery[0].sent {
		return
	}
	d := s.delivery[0]
	d.sent = true
	d.tries++
	w := &waiter{delivery: d}
	if err := s.emitLocked(w, d.body, d.attachments); err != nil {
		s.answeredLocked(d, packet.Args{}, err)
		return
	}
	d.timer = time.AfterFunc(s.client.set.AckTimeout, func() {
		s.client.mu.Lock()
		defer s.client.mu.Unlock()
		for id, x := range s.acks {
			if x == w {
				delete(s.acks, id)
				s.answeredLocked(d, packet.Args{}, ErrAckTimeout)
			}
		}
	})
}

// answeredLocked ends one try: with the answer, or an error that calls for another one while there
// are some left. A lost connection leaves the delivery for the next.
func (s *Socket) answeredLocked(d *delivery, args packet.Args, err error) {
	d.sent = false
	if d.timer != nil {
		d.timer.Stop()
	}
	if len(s.delivery) == 0 || s.delivery[0] != d {
		return
	}
	if err == nil || d.tries > s.client.set.Retries {
		s.delivery = s.delivery[1:]
		s.unsentN -= d.size()
		d.finish(s, args, err)
	}
	s.deliverLocked()
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

// abandonLocked drops a delivery whose outcome nobody waits for any more, unless it is under way.
func (s *Socket) abandonLocked(w *waiter) {
	for i, d := range s.delivery {
		if d.last != w {
			continue
		}
		d.last = nil
		if !d.sent {
			s.unsentN -= d.size()
			s.delivery = slices.Delete(s.delivery, i, i+1)
		}
		return
	}
}
