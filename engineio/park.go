package engineio

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// parker is a ResponseWriter whose handler may return before the response is written. A poll that
// waits on one has no goroutine: the goroutine that sends to the session writes the response.
type parker interface {
	http.ResponseWriter
	// Park says that the handler returns, and that the response is written later and ended by Done.
	// The handler calls it, once. Gone is called if the connection breaks before that, on a
	// goroutine that holds no lock and does not wait for it.
	Park(gone func())
	// Done ends a response that was parked. It does not block, and so may leave something to be
	// written behind it; if the connection breaks before that, gone is called too. After an error
	// it is not.
	Done() error
}

// park parks p. It returns false if p has its answer already, or its ResponseWriter can't be
// parked.
func (s *Session) park(p *poll) bool {
	if p.parker == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.polling.poll != p {
		return false
	}
	p.parked = true
	p.asked.accepts = slices.Clone(p.asked.accepts) // what is kept must not hold the whole request
	for i, line := range p.asked.accepts {
		p.asked.accepts[i] = strings.Clone(line)
	}
	p.parker.Park(func() { s.unparked(p) })
	return true
}

// unparked gives up a parked poll whose connection broke.
func (s *Session) unparked(p *poll) {
	if !s.abandon(p.parker, p) {
		s.failPoll(p.parker, p, errPollAborted) // in the middle of the answer
	}
}

// answerParkedLocked writes the answer of a parked poll: at once, or on a goroutine of its own if
// that may take time or call the app.
func (s *Session) answerParkedLocked(p *poll) {
	if c := &s.server.cfg; c.Headers != nil ||
		len(p.asked.accepts) > 0 && c.HTTPCompressionThreshold >= 0 && p.size() > c.HTTPCompressionThreshold {
		s.server.tasks.Go(func() { s.finishPoll(p) })
		return
	}
	if err := s.endPoll(p); err != nil {
		s.server.tasks.Go(func() { s.failPoll(p.parker, p, err) }) // not here: whoever answers holds mu, and has more to do
	}
}

func (s *Session) finishPoll(p *poll) {
	if err := s.endPoll(p); err != nil {
		s.failPoll(p.parker, p, err)
	}
}

// endPoll writes a parked poll's answer and ends it.
func (s *Session) endPoll(p *poll) error {
	err := s.writePoll(p.parker, p)
	if err = errors.Join(err, p.parker.Done()); err != nil {
		return errors.Join(errPollAborted, err)
	}
	return nil
}
