package engineio

import "sync/atomic"

// Stats are counts of a Server since its start.
type Stats struct {
	// Sessions is the number of live sessions, Polling of those on polling.
	Sessions, Polling int
	// Opened counts sessions, Closed those that have ended, by reason.
	Opened uint64
	Closed map[string]uint64
	// Received and Sent count messages of sessions, without heartbeats.
	Received, Sent Traffic
}

// Traffic counts messages and their bytes, before compression and without framing.
type Traffic struct{ Messages, Bytes uint64 }

// traffic counts in lanes, a cache line each: all cores count at the same time.
type traffic [16]struct {
	received, sent struct{ messages, bytes atomic.Uint64 }
	_              [32]byte
}

// lane returns a session's lane. Sids are random at their end.
func (t *traffic) lane(s *Session) int { return int(s.id[len(s.id)-1]) % len(t) }

func (t *traffic) receive(s *Session, bytes int) {
	l := &t[t.lane(s)].received
	l.messages.Add(1)
	l.bytes.Add(uint64(bytes))
}

func (t *traffic) send(s *Session, ms []*Message) {
	bytes := 0
	for _, m := range ms {
		if bytes += m.Len(); !m.binary {
			bytes-- // the packet's type
		}
	}
	l := &t[t.lane(s)].sent
	l.messages.Add(uint64(len(ms)))
	l.bytes.Add(uint64(bytes))
}

func (t *traffic) sums() (received, sent Traffic) {
	for i := range t {
		l := &t[i]
		received.Messages += l.received.messages.Load()
		received.Bytes += l.received.bytes.Load()
		sent.Messages += l.sent.messages.Load()
		sent.Bytes += l.sent.bytes.Load()
	}
	return received, sent
}
