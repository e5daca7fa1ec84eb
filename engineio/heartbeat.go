package engineio

import (
	"time"

	"github.com/sidereal-io/sidereal/internal/wheel"
)

// closeTimeout limits the wait of a closing session for its last poll.
const closeTimeout = 30 * time.Second

// The values of Session.beat.
const (
	beatIdle     = iota // the next ping is scheduled
	beatAwaiting        // a ping is unanswered
	beatExtended        // and another packet has come since, which restarted the timeout
	beatOver            // the session is not open any more: nothing is received
)

// heartbeat is a Session as the owner of its timer.
type heartbeat Session

// Expire sends a ping, or ends a session whose pong or last poll didn't come.
func (h *heartbeat) Expire(t *wheel.Timer) {
	s := (*Session)(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == stateClosed || s.server.wheel.Active(t):
	case s.state == stateClosing:
		s.endLocked(s.polling.reason, s.polling.err)
	case s.beat.Load() != beatIdle:
		s.endLocked(PingTimeout, nil)
	default:
		s.beat.Store(beatAwaiting)
		s.pinged = s.server.moment()
		s.server.wheel.Continue(&s.timer, s.server.cfg.PingTimeout)
		s.sendLocked(pingPacket)
	}
}

// lapsed ends a session whose pong is overdue, and reports whether it did. A request may arrive
// before the wheel notices.
func (s *Session) lapsed() bool {
	if beat := s.beat.Load(); beat != beatAwaiting && beat != beatExtended {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen || s.beat.Load() == beatIdle || !s.server.wheel.Overdue(&s.timer) {
		return false
	}
	s.endLocked(PingTimeout, nil)
	return true
}

// pong schedules the next ping, counted from the arrival of the pong. A pong without a ping counts,
// too.
func (s *Session) pong() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOpen {
		s.beat.Store(beatIdle)
		s.ponged = s.server.moment()
		s.server.wheel.Schedule(&s.timer, s.server.cfg.PingInterval)
	}
}

// extend restarts the timeout, once per ping, for a client whose pong is stuck behind other
// packets.
func (s *Session) extend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOpen && s.beat.CompareAndSwap(beatAwaiting, beatExtended) {
		s.server.wheel.Schedule(&s.timer, s.server.cfg.PingTimeout)
	}
}
