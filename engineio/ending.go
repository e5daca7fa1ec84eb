package engineio

import (
	"time"

	"github.com/sidereal-io/sidereal/internal/eventloop"
)

// moment is a time in tenths of a second since the server began, plus one; 0 is never. A session
// keeps some, which take no more memory than its size class has left.
type moment uint32

const momentUnit = 100 * time.Millisecond

func (s *Server) moment() moment { return moment(time.Since(s.began)/momentUnit) + 1 }

func (s *Server) timeOf(m moment) (t time.Time) {
	if m == 0 {
		return t
	}
	return s.began.Add(time.Duration(m-1) * momentUnit)
}

// endingLocked describes a session that is about to end. It returns nil for one that has ended.
func (s *Session) endingLocked() *eventloop.Ending {
	if s.state == stateClosed {
		return nil
	}
	e := &eventloop.Ending{
		Value: s.req.ctx.Value, Transport: s.transportLocked(), At: time.Now(), Opened: s.server.timeOf(s.opened),
		Pinged: s.server.timeOf(s.pinged), Ponged: s.server.timeOf(s.ponged), Queue: s.bufferedLocked(),
	}
	out := &s.out
	if s.ws != nil {
		out = &s.ws.out
		e.CloseCode = int(s.ws.code)
		if !s.ws.closed {
			s.ws.link.measure(e)
		}
	}
	for _, m := range out.items {
		if m.isMessage() {
			e.Sending = m.frame[m.head+1:]
			break
		}
	}
	return e
}

// isMessage reports whether m is a text message of the app.
func (m *Message) isMessage() bool {
	return !m.binary && !m.control && m.Len() > 0 && m.frame[m.head] == '4'
}
