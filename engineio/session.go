package engineio

import (
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sidereal-io/sidereal/engineio/packet"
	"github.com/sidereal-io/sidereal/internal/eventloop"
	"github.com/sidereal-io/sidereal/internal/wheel"
)

// Receiver takes the messages of a session. The session never calls its methods concurrently. They
// must not block, since they may run on the goroutine that reads all connections: start a goroutine
// for anything that takes time.
type Receiver interface {
	// Receive takes one message, in order. The Receiver may keep binary data. Text is valid during
	// the call only, and the Receiver may change it.
	Receive(data []byte, binary bool)
	// Idle follows the last message of one read. Everything that the Receiver has sent since the
	// first one leaves together after Idle.
	Idle()
	// Closed follows the last Receive. The session calls it exactly once, on a goroutine of its
	// own, never from within Send or Close. err may be nil; if it isn't, it says more than reason
	// does.
	Closed(reason string, err error)
}

type state uint8

const (
	stateOpen    state = iota
	stateClosing       // Close was called while polling; the next poll is told
	stateClosed
)

// Session is one client's session. Its methods may be called concurrently, and from a Receiver.
type Session struct {
	server *Server
	id     string
	req    firstRequest
	recv   Receiver // set under recvMu before anything is received

	recvMu sync.Mutex    // held while recv is called; taken before mu
	reader *leader       // reads now and does the work that follows; nil: nobody. Under recvMu
	beat   atomic.Uint32 // one of beat...; changes under mu
	opened moment        // not changed once others know the session

	mu       sync.Mutex
	corks    int32  // while above 0, sends wait in out or ws.out
	pinged   moment // when the last ping was sent
	ponged   moment // when the last pong came
	quiet    uint8  // heartbeats since the client's last message, at most 255; under recvMu instead
	state    state
	upgraded bool        // has switched from the transport that it began with
	timer    wheel.Timer // ping, pong timeout, or the last poll of a closing session
	polling  *polling    // nil for a session that began on WebSocket
	ws       *webSocket  // the current transport; nil: polling
	upgrade  *upgrade    // under way
	out      outbox      // what waits for a poll
}

func newSession(srv *Server, id string, r *http.Request) *Session {
	s := &Session{server: srv, id: id, req: packRequest(r)}
	s.timer.Owner = (*heartbeat)(s)
	return s
}

// ID returns the sid.
func (s *Session) ID() string { return s.id }

// Request returns the request that began the session, without its body. Its context has the values
// of the original one and doesn't end. Each call makes a new one.
func (s *Session) Request() *http.Request { return s.req.unpack() }

// RemoteAddr returns the client's address, as the HTTP server had it for the first request.
func (s *Session) RemoteAddr() string { return s.req.remoteAddr() }

// Transport returns the present transport, Polling or WebSocket.
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transportLocked()
}

// Buffered returns the bytes that wait for the client, as Config.MaxQueueBytes counts them.
func (s *Session) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bufferedLocked()
}

func (s *Session) bufferedLocked() int {
	if s.ws != nil {
		return s.ws.out.size()
	}
	return s.out.size()
}

func (s *Session) transportLocked() string {
	if s.ws != nil {
		return WebSocket
	}
	return Polling
}

// Close ends the session with ForcedClose, after sending what was sent before. It returns false if
// the client is between two polls: the session then ends at the next poll, or after 30 seconds, and
// sends and receives nothing more.
func (s *Session) Close() (ended bool) { return s.close(ForcedClose, nil) }

func (s *Session) close(reason string, err error) (ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return s.state == stateClosed
	}
	if s.ws != nil || s.polling.poll != nil {
		s.endLocked(reason, err)
		return true
	}
	s.state = stateClosing
	s.polling.reason, s.polling.err = reason, err
	s.beat.Store(beatOver)
	s.cancelUpgradeLocked()
	s.server.wheel.Schedule(&s.timer, closeTimeout)
	return false
}

// fail ends the session for what the client did.
func (s *Session) fail(reason string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(reason, err)
}

// endLocked ends the session now, whatever its state, and tells the client over the transport: a
// pending poll gets what waits and a close packet, a WebSocket an empty close frame.
func (s *Session) endLocked(reason string, err error) { s.endWithLocked(reason, err, s.endingLocked()) }

// endWithLocked is endLocked for a session whose ending was described before.
func (s *Session) endWithLocked(reason string, err error, e *eventloop.Ending) {
	if s.state == stateClosed {
		return
	}
	s.state = stateClosed
	s.beat.Store(beatOver)
	s.server.wheel.Stop(&s.timer)
	s.cancelUpgradeLocked()
	s.resumeLocked()
	if s.ws != nil {
		s.ws.closeLocked()
	} else if s.polling.poll != nil {
		s.out.push(closePacket)
		s.answerLocked()
	}
	if s.polling != nil && s.polling.post != nil { // nobody waits for the rest of it any more
		s.polling.post.control.SetReadDeadline(time.Now().Add(closeTimeout))
	}
	s.out.clear()
	e.Limit = limitOf(err)
	s.server.tasks.Add(1) // before the session leaves the table: else Run might miss its Closed
	s.server.ended(s, reason, err)
	go s.tellClosed(reason, err, e)
}

func (s *Session) tellClosed(reason string, err error, e *eventloop.Ending) {
	defer s.server.tasks.Done()
	s.recvMu.Lock() // until the Receive under way is over; none begins any more
	recv := s.recv
	s.recvMu.Unlock()
	if recv, ok := recv.(eventloop.Ender); ok {
		recv.Ended(reason, err, e)
	}
	recv.Closed(reason, err)
}

// receivePacket handles a packet of the current transport; recvMu is held. It reports whether a
// message was handed on.
func (s *Session) receivePacket(p packet.Packet) (handed bool) {
	beat := s.beat.Load()
	if beat == beatOver {
		return false
	}
	if beat == beatAwaiting && p.Type != packet.Pong {
		s.extend()
	}
	switch p.Type {
	case packet.Pong:
		if s.quiet < math.MaxUint8 {
			s.quiet++
		}
		s.pong()
	case packet.Message:
		if s.quiet != 0 { // not with each message: other cores read this memory
			s.quiet = 0
		}
		s.server.traffic.receive(s, len(p.Data))
		s.recv.Receive(p.Data, p.Binary)
		return true
	case packet.Ping:
		s.fail(TransportError, errClientPing)
	case packet.Close:
		s.closedByClient()
	}
	return false // open, upgrade and noop mean nothing here
}

// closedByClient handles a close packet. Over WebSocket it is ignored: the client closes the
// connection itself.
func (s *Session) closedByClient() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ws != nil || s.state == stateClosed {
		return
	}
	e := s.endingLocked()
	e.Closing = true
	if s.polling.poll != nil {
		s.out.push(noopPacket)
		s.answerLocked()
	}
	s.endWithLocked(TransportClose, nil, e)
}

// discard is the Receiver of an app that gave none.
type discard struct{}

func (discard) Receive([]byte, bool) {}
func (discard) Idle()                {}
func (discard) Closed(string, error) {}
