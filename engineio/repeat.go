package engineio

import (
	"hash/maphash"
	"net/http"
	"slices"
)

// A proxy repeats a request elsewhere when the router or the server that it asked is gone. The
// first copy may have been served by then, so that serving the second like a new request would lose
// the answer of a poll or handle a post twice. Official clients give each request a parameter t of
// its own, by which a session recognises the copy: it answers a repeated poll as it answered the
// first, and handles a repeated post once. (Node's servers take both for new requests.)

// requestID recognises a request of a session by hashes, since the strings would keep the whole
// head of the request in memory. The zero value is no other's.
type requestID struct {
	t     uint64 // of the parameter t; 0: none
	relay uint64 // of the router or connection that the request came over; 0: unknown
}

var requestSeed = maphash.MakeSeed()

// hash returns 0 for the empty string only.
func hash(s string) uint64 {
	if s == "" {
		return 0
	}
	return maphash.String(requestSeed, s) | 1
}

// relayed is a ResponseWriter of a request that a router passed on.
type relayed interface {
	// Relay names the router's process. It is empty if the router is too old to tell. Then it can't
	// tell that a client left, either.
	Relay() string
	// ClientLeft reports, once the request's connection has broken, whether the router has said
	// that its client left.
	ClientLeft() bool
}

// isRouterGone reports whether the broken connection of a request says nothing about its client:
// the router at its other end is gone. A proxy before the router repeats the request elsewhere.
func isRouterGone(w http.ResponseWriter) bool {
	r, ok := w.(relayed)
	return ok && r.Relay() != "" && !r.ClientLeft()
}

// identify returns the id of a request. A session whose client gave its handshake the same t
// doesn't number its requests, so they have none.
func (s *Session) identify(w http.ResponseWriter, r *http.Request, q *query) requestID {
	if s.polling == nil || q.t == "" {
		return requestID{}
	}
	id := requestID{t: hash(q.t)}
	if id.t == s.polling.firstT {
		return requestID{}
	}
	relay := r.RemoteAddr
	if w, ok := w.(relayed); ok {
		relay = w.Relay()
	}
	id.relay = hash(relay)
	return id
}

// overlaps reports whether id, which arrived while first is still being served, is its copy.
func (id requestID) overlaps(first requestID) bool { return id.t != 0 && id.t == first.t }

// repeats reports whether id is a copy of first, which has been served. A copy comes over another
// router or connection: a client that gives all its requests one t stays on its own.
func (id requestID) repeats(first requestID) bool {
	return id.overlaps(first) && id.relay != 0 && first.relay != 0 && id.relay != first.relay
}

// earlier remembers requests that were served before the last ones. A dead router's kernel may
// deliver a request after the copy was served, and the client's next request too.
type earlier struct {
	ids  [4]requestID
	next uint8 // of ids, to be replaced
}

func (e *earlier) add(id requestID) {
	if id.t != 0 {
		e.ids[e.next] = id
		e.next = (e.next + 1) % uint8(len(e.ids))
	}
}

// has reports whether id is a copy of one of the requests.
func (e *earlier) has(id requestID) bool { return slices.ContainsFunc(e.ids[:], id.repeats) }

// dismissLocked answers a pending poll whose copy takes its place. Nobody waits for it any more, as
// far as we know; a noop harms nobody who does.
func (s *Session) dismissLocked(p *poll) {
	p.dismissed = true
	p.out = []*Message{noopPacket}
	s.finishLocked(p)
}

// repeatPollLocked answers p as the poll was answered that it repeats.
func (s *Session) repeatPollLocked(p *poll) {
	s.server.metrics.repeatedPolls.Inc()
	first := s.polling.answered
	first.dismissed = true
	p.out = first.out
	s.polling.answered = p
	s.finishLocked(p)
}

// lostLocked ends the session for a request whose connection broke. If the router is gone and a
// copy of the request can take its place, the session waits for that copy.
func (s *Session) lostLocked(w http.ResponseWriter, replaceable bool, err error) {
	if replaceable && isRouterGone(w) {
		s.interruptLocked()
		return
	}
	s.endLocked(TransportError, err)
}

// interruptLocked has the session wait for a copy of a request. The ping that is due next goes out
// now, so that a session without a client ends after PingTimeout at the latest.
func (s *Session) interruptLocked() {
	if s.state != stateOpen || s.ws != nil {
		return
	}
	if !s.polling.interrupted {
		s.polling.interrupted = true
		s.server.metrics.interrupted.Inc()
	}
	if s.beat.CompareAndSwap(beatIdle, beatAwaiting) {
		s.server.wheel.Schedule(&s.timer, s.server.cfg.PingTimeout)
		s.sendLocked(pingPacket)
	}
}

// resumeLocked ends an interruption: the client's next request has come, or the session ends.
func (s *Session) resumeLocked() {
	if s.polling != nil && s.polling.interrupted {
		s.polling.interrupted = false
		s.server.metrics.interrupted.Dec()
	}
}
