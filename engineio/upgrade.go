package engineio

import (
	"time"

	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/eventloop"
	"github.com/sidereal-io/sidereal/internal/wheel"
)

// A client that has the probe's answer pauses polling, and for that its pending poll must end. The
// session ends it with a noop together with the probe's answer. A poll that the client sent before
// it read that answer comes later, and ends as it comes. If the client polls on even then, its
// WebSocket is slow: so that it doesn't poll in a loop, further polls end after pauses that double
// from minNudge to maxNudge. (Node's servers wait 100 ms for the first noop, too, and their clients
// for the upgrade.)
const (
	minNudge = 10 * time.Millisecond
	maxNudge = 100 * time.Millisecond
)

// upgrade is a session's attempt to switch to a WebSocket (Engine.IO v4, Upgrade). The session
// stays on its old transport until the client's upgrade packet. A failure before that only costs
// the new connection.
type upgrade struct {
	session *Session
	ws      *webSocket
	pause   time.Duration // before the next noop; 0 before the probe
	late    bool          // a poll has come since the probe
	ends    time.Time
	timer   wheel.Timer
}

// probeWith makes ws the session's probing WebSocket. It closes ws if the session upgrades or has
// upgraded already, or if the request names another transport.
func (s *Session) probeWith(ws *webSocket, transport string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen || s.upgrade != nil || s.upgraded || transport != WebSocket {
		ws.closeLocked()
		return
	}
	ws.role.Store(roleProbing)
	timeout := s.server.cfg.UpgradeTimeout
	u := &upgrade{session: s, ws: ws, ends: time.Now().Add(timeout)}
	u.timer.Owner = u
	s.upgrade = u
	s.server.wheel.Schedule(&u.timer, timeout)
	ws.flushLocked()
}

// probe handles a packet of the probing WebSocket.
func (s *Session) probe(ws *webSocket, p packet.Packet, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.upgrade
	switch {
	case u == nil || u.ws != ws:
	case err == nil && p.Type == packet.Ping && string(p.Data) == "probe":
		ws.sendLocked(probePong)
		if u.pause == 0 { // a client that goes on probing puts nothing off
			u.nudgeLocked()
		}
	case err == nil && p.Type == packet.Upgrade:
		s.switchLocked(u)
	default:
		s.cancelUpgradeLocked()
	}
}

// Expire ends a pending poll, or the upgrade after its timeout.
func (u *upgrade) Expire(*wheel.Timer) {
	s := u.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.upgrade != u {
		return
	}
	if !time.Now().Before(u.ends) {
		s.cancelUpgradeLocked()
		return
	}
	u.nudgeLocked()
}

// polledLocked ends the first poll that comes after the probe. Under a cork the timer does.
func (u *upgrade) polledLocked() {
	s := u.session
	if u.pause == 0 || u.late {
		return
	}
	u.late = true
	if s.corks == 0 && len(s.out.items) == 0 {
		s.out.push(noopPacket)
	}
}

// nudgeLocked ends a pending poll, and comes back for the next one.
func (u *upgrade) nudgeLocked() {
	s := u.session
	if s.ws == nil && s.polling.poll != nil {
		s.out.push(noopPacket)
		s.answerLocked()
	}
	u.pause = min(max(2*u.pause, minNudge), maxNudge)
	s.server.wheel.Schedule(&u.timer, min(u.pause, time.Until(u.ends)))
}

// switchLocked makes the probing WebSocket the transport. Messages that waited for a poll follow on
// it.
func (s *Session) switchLocked(u *upgrade) {
	s.upgrade = nil
	s.server.wheel.Stop(&u.timer)
	m := s.server.metrics
	m.sessions(s.transportLocked()).Dec()
	waiting := s.out
	s.out.clear()
	old := s.ws
	if old == nil && s.polling.poll != nil {
		s.out.push(closePacket)
		s.answerLocked()
	}
	s.resumeLocked()
	s.ws, s.upgraded = u.ws, true
	u.ws.role.Store(roleCurrent)
	m.sessions(WebSocket).Inc()
	s.server.tasks.Add(1)
	go s.tellUpgraded()
	if old != nil {
		old.closeLocked()
	}
	if len(waiting.items) > 0 {
		u.ws.out.push(waiting.items...)
	}
	if s.corks == 0 {
		u.ws.flushLocked()
	}
	if s.beat.Load() != beatIdle {
		// A ping may have been lost with the old transport's poll: the client gets the time of a
		// fresh one. (The reference never pings again here.)
		s.server.wheel.Schedule(&s.timer, s.server.cfg.PingTimeout)
	}
}

// tellUpgraded tells a Receiver that wants to know.
func (s *Session) tellUpgraded() {
	defer s.server.tasks.Done()
	s.recvMu.Lock()
	defer s.recvMu.Unlock()
	if recv, ok := s.recv.(eventloop.Upgrader); ok {
		recv.Upgraded()
	}
}

// cancelUpgradeLocked ends an upgrade, if there is one.
func (s *Session) cancelUpgradeLocked() {
	if u := s.upgrade; u != nil {
		s.upgrade = nil
		s.server.wheel.Stop(&u.timer)
		u.ws.closeLocked()
	}
}
