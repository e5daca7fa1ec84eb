// Package sessioncount counts the Engine.IO sessions of a server that doesn't report them. A process
// that carries the server's requests tells a [Counter] what it sees; docs/adr/0042 has the reasons.
package sessioncount

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

const (
	// maxSessions limits the sessions that a Counter tells apart. The ones that were silent for
	// longest are forgotten first, and counted again at their next answer.
	maxSessions = 1 << 18
	// maxSID is the length of the longest sid that is kept. Sids have 20 characters.
	maxSID = 128
	// defaultSilence is the silence that servers allow their clients by default.
	defaultSilence = 45 * time.Second
)

// Counter counts the sessions of one server. The zero value counts from zero. Its methods may be
// called concurrently.
//
// A sid comes to be known by an answer of the server only, so the requests of strangers make no
// entries.
type Counter struct {
	mu       sync.Mutex // guards the rest
	most     int        // maxSessions, but in a test
	silence  time.Duration
	sessions map[string]*session
	polling  session // a ring: next was used last
	closed   int     // of sessions, that are remembered only because answers may still be on their way
	unnamed  int     // WebSockets that opened their sessions, whose sids nobody has seen
}

type session struct {
	sid        string
	used       time.Time
	closed     bool
	websockets int      // a session with one isn't in the ring
	prev, next *session // in the ring
}

// Opened notes that the server has opened a session by polling. The server ends it if the client is
// silent for that long.
func (c *Counter) Opened(sid string, silence time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if silence > 0 {
		c.silence = silence
	}
	c.useLocked(sid)
}

// Used notes that the server has answered a request of a session as one that it knows. After Closed
// it does nothing: the answer was late.
func (c *Counter) Used(sid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[sid]; s == nil || !s.closed {
		c.useLocked(sid)
	}
}

// Closed notes that a close packet has ended a session. A poll's answer may still be on its way.
func (c *Counter) Closed(sid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.useLocked(sid); s != nil && s.websockets == 0 && !s.closed {
		s.closed = true
		c.closed++
	}
}

// Ended notes that a session has no polling client any more: the server doesn't know it, or its
// client left during a poll.
func (c *Counter) Ended(sid string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[sid]; s != nil && s.websockets == 0 && !s.closed {
		c.removeLocked(s)
	}
}

// Connected notes that the server has accepted a WebSocket. An empty sid says that the WebSocket
// opens the session. The caller passes the result to Disconnected when the WebSocket ends.
func (c *Counter) Connected(sid string) (counted string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.useLocked(sid)
	if s == nil {
		c.unnamed++
		return ""
	}
	if s.websockets == 0 {
		s.leaveRing()
	}
	s.websockets++
	return s.sid
}

// Disconnected notes the end of a WebSocket, and of its session. If the session goes on by polling,
// it counts again at its next answer.
func (c *Counter) Disconnected(counted string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if counted == "" {
		c.unnamed--
		return
	}
	s := c.sessions[counted] // a session with a WebSocket is never forgotten
	if s.websockets--; s.websockets == 0 {
		s.joinRing(&c.polling)
		c.removeLocked(s)
	}
}

// Count returns the number of sessions.
func (c *Counter) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expireLocked(time.Now())
	return len(c.sessions) - c.closed + c.unnamed
}

// useLocked returns the session of a sid, as the one used last. It returns nil if the sid can't be
// kept.
func (c *Counter) useLocked(sid string) *session {
	if sid == "" || len(sid) > maxSID {
		return nil
	}
	if c.sessions == nil {
		c.sessions = make(map[string]*session)
		c.polling.prev, c.polling.next = &c.polling, &c.polling
	}
	now := time.Now()
	s := c.sessions[sid]
	switch {
	case s == nil:
		if !c.hasRoomLocked(now) {
			return nil
		}
		s = &session{sid: strings.Clone(sid)} // sid may be a part of a request's buffer
		c.sessions[s.sid] = s
		s.joinRing(&c.polling)
	case s.websockets == 0:
		s.leaveRing()
		s.joinRing(&c.polling)
	}
	if s.closed {
		s.closed = false
		c.closed--
	}
	s.used = now
	return s
}

// hasRoomLocked makes room for one more session.
func (c *Counter) hasRoomLocked(now time.Time) bool {
	most := c.most
	if most == 0 {
		most = maxSessions
	}
	if len(c.sessions) < most {
		return true
	}
	c.expireLocked(now)
	if oldest := c.polling.prev; len(c.sessions) >= most && oldest != &c.polling {
		c.removeLocked(oldest)
	}
	return len(c.sessions) < most
}

func (c *Counter) expireLocked(now time.Time) {
	silence := c.silence
	if silence == 0 {
		silence = defaultSilence
	}
	for s := c.polling.prev; s != nil && s != &c.polling && now.Sub(s.used) > silence; s = c.polling.prev {
		c.removeLocked(s)
	}
}

func (c *Counter) removeLocked(s *session) {
	s.leaveRing()
	delete(c.sessions, s.sid)
	if s.closed {
		c.closed--
	}
}

func (s *session) joinRing(ring *session) {
	s.prev, s.next = ring, ring.next
	s.prev.next, s.next.prev = s, s
}

func (s *session) leaveRing() {
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next = nil, nil
}

// Closes reports whether a polling payload ends with a close packet. Of a payload with more than
// eight bytes it needs only the last eight.
func Closes(payload []byte) bool {
	switch string(payload) {
	case "1", // protocol 4
		"1:1", "2:411:1": // protocol 3, alone and after Socket.IO's own packet
		return true
	}
	return bytes.HasSuffix(payload, []byte("\x1e1"))
}
