package engineio

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/sidereal-io/sidereal/engineio/packet"
)

// randomSID makes the default sids: 15 random bytes, in as many characters as Node's.
func randomSID(*http.Request) (string, error) {
	var b [15]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// needsEscaping reports whether JSON or a cookie can't take a character as it is.
func needsEscaping(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"\\,;`, c)
}

// mint makes the session for a verified handshake.
func (s *Server) mint(r *http.Request) (*Session, *ConnectionError) {
	sid, err := s.cfg.NewSID(r)
	if err == nil && (sid == "" || strings.ContainsFunc(sid, needsEscaping)) {
		err = errSID
	}
	if err != nil {
		return nil, refusal(CodeBadRequest, map[string]any{"name": "ID_GENERATION_ERROR", "error": err.Error()})
	}
	return newSession(s, sid, r), nil
}

// begin starts a session with its transport: the table, the open packet, the receiver, the first
// ping. The messages of Open leave together with the open packet. It returns false if the server
// takes no sessions or the sid is taken.
func (s *Server) begin(session *Session) bool {
	session.recvMu.Lock() // whoever ends the session meanwhile finds its receiver set
	defer session.recvMu.Unlock()
	added := false
	s.admit(true, func() {
		session.mu.Lock() // whoever finds the session in the table sends after its open packet
		defer session.mu.Unlock()
		if added = s.sessions.add(session); added {
			s.openLocked(session)
		}
	})
	if !added {
		return false
	}
	session.recv = discard{} // also if Open panics
	if recv := s.cfg.Open(session); recv != nil {
		session.recv = recv
	}
	session.Uncork()
	return true
}

// openLocked queues the first packets of a session, corked, and schedules its first ping.
func (s *Server) openLocked(session *Session) {
	session.opened = s.moment()
	transport := session.transportLocked()
	s.metrics.sessions(transport).Inc()
	s.metrics.handshakes(transport).Inc()
	session.corks++
	session.sendLocked(newPacket(packet.Open, s.openData(session)))
	if s.cfg.InitialPacket != nil {
		session.sendLocked(s.cfg.InitialPacket)
	}
	s.wheel.Schedule(&session.timer, s.cfg.PingInterval)
}

func (s *Server) openData(session *Session) []byte {
	o := packet.OpenData{
		SID: session.id, PingInterval: s.cfg.PingInterval, PingTimeout: s.cfg.PingTimeout,
		MaxPayload: s.cfg.MaxHTTPBufferSize,
	}
	if session.ws == nil && !s.cfg.DisallowUpgrades && s.cfg.enabled(WebSocket) {
		o.Upgrades = []string{WebSocket}
	}
	return packet.AppendOpen(make([]byte, 0, 160), o)
}

// serveHandshake starts a session over polling. Its response is that of the first poll.
func (s *Server) serveHandshake(w http.ResponseWriter, r *http.Request, q *query) {
	session, refused := s.mint(r)
	if refused != nil {
		s.refuse(w, r, refused, false)
		return
	}
	p := newPoll(w, r, s)
	session.polling = &polling{poll: p, jsonp: q.jsonp, firstT: hash(q.t)}
	if !s.begin(session) {
		s.answerBusy(w)
		return
	}
	if s.cfg.Cookie != nil {
		w.Header().Set("Set-Cookie", s.cfg.Cookie.header(session.id))
	}
	if s.cfg.InitialHeaders != nil {
		s.cfg.InitialHeaders(w.Header(), r)
	}
	session.waitPoll(w, r, p)
}
