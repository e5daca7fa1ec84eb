package socketio

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sidereal-io/sidereal/internal/wheel"
)

// Recovery configures connection state recovery: a client that comes back after a short break is the socket it was,
// with its id, rooms and data, and gets what it missed. Every event that wants no answer and is not volatile then
// carries one more argument, by which the client says what it has seen. What is kept for that lives in this process;
// together with Config.Adapter it is off.
type Recovery struct {
	// MaxDisconnection is how long a client may be away. Default 2 minutes.
	MaxDisconnection time.Duration
	// RunMiddlewares runs the namespace's middlewares for a client that came back, too. They are skipped by default.
	RunMiddlewares bool
	// MaxBytes bounds the events that are kept in one namespace; beyond it the oldest go first. Default 64 MiB.
	MaxBytes int
}

// sweepInterval is how often what is too old is let go of.
const sweepInterval = time.Minute

// recovery is what one namespace keeps for clients that may come back.
type recovery struct {
	cfg   Recovery
	wheel *wheel.Wheel
	timer wheel.Timer

	mu       sync.Mutex // held while an event is numbered and sent, so that clients see the numbers rise
	sessions map[string]*savedSession
	events   []savedEvent // oldest first
	bytes    int
	last     int64 // the last number, which is about the time in ms
}

// savedSession is what a socket was when it disconnected.
type savedSession struct {
	id, pid string
	rooms   []string
	data    map[string]any
	at      time.Time
}

// savedEvent is an event that somebody may have missed.
type savedEvent struct {
	number int64
	target Target
	data   Payload
	at     time.Time
}

func newRecovery(srv *Server) *recovery {
	if srv.cfg.Recovery == nil || srv.cfg.Adapter != nil {
		return nil
	}
	r := &recovery{cfg: *srv.cfg.Recovery, wheel: srv.wheel, sessions: make(map[string]*savedSession)}
	r.cfg.MaxDisconnection = or(r.cfg.MaxDisconnection, 2*time.Minute)
	r.cfg.MaxBytes = or(r.cfg.MaxBytes, 64<<20)
	r.timer.Owner = r
	return r
}

// emit numbers b, keeps it and delivers it.
func (r *recovery) emit(n *Namespace, b *Broadcast) {
	r.mu.Lock()
	now := time.Now()
	r.last = max(r.last+1, now.UnixMilli())
	text := append(slices.Clip(b.Data.JSON[:len(b.Data.JSON)-1]), `,"`...)
	text = append(strconv.AppendInt(text, r.last, 36), `"]`...)
	numbered := &Broadcast{Target: b.Target, Flags: b.Flags, Data: Payload{JSON: text, Attachments: b.Data.Attachments}}
	r.events = append(r.events, savedEvent{r.last, b.Target, numbered.Data, now})
	for r.bytes += numbered.size(); r.bytes > r.cfg.MaxBytes; {
		r.dropLocked(1)
	}
	r.scheduleLocked()
	if len(n.registry.Load().anyOutgoing) > 0 { // they may emit
		r.mu.Unlock()
		n.deliver(numbered)
		return
	}
	defer r.mu.Unlock()
	n.deliver(numbered)
}

func (b *Broadcast) size() int {
	size := len(b.Data.JSON)
	for _, a := range b.Data.Attachments {
		size += len(a)
	}
	return size
}

func (r *recovery) dropLocked(n int) {
	for _, e := range r.events[:n] {
		r.bytes -= (&Broadcast{Data: e.data}).size()
	}
	clear(r.events[:n])
	r.events = r.events[n:]
}

// save keeps what a socket was, if it ended for a reason after which clients come back.
func (r *recovery) save(s *Socket, reason string, rooms []string) {
	switch reason {
	case ReasonTransportError, ReasonTransportClose, ReasonForcedClose, ReasonPingTimeout, ReasonShuttingDown, ReasonForcedServerClose:
	default:
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pid := s.pid()
	r.sessions[pid] = &savedSession{s.id, pid, rooms, s.Data(), time.Now()}
	r.scheduleLocked()
}

// find is the session that a client asks for, if it can be restored. It stays: the client may be cut off before it
// hears.
func (r *recovery) find(s *Socket) (session *savedSession, offset int64) {
	var auth struct{ PID, Offset string }
	if len(s.auth) == 0 || (&Handshake{Auth: s.auth}).DecodeAuth(&auth) != nil || auth.PID == "" || auth.Offset == "" {
		return nil, 0
	}
	offset, err := strconv.ParseInt(auth.Offset, 36, 64)
	r.mu.Lock()
	defer r.mu.Unlock()
	session = r.sessions[auth.PID]
	if err != nil || session == nil || time.Since(session.at) > r.cfg.MaxDisconnection || r.indexLocked(offset) < 0 {
		return nil, 0
	}
	return session, offset
}

// indexLocked is the place of the event with a number, or -1.
func (r *recovery) indexLocked(number int64) int {
	i, ok := slices.BinarySearchFunc(r.events, number, func(e savedEvent, n int64) int { return int(e.number - n) })
	if !ok {
		return -1
	}
	return i
}

// missedLocked are the events after offset that were for a session.
func (r *recovery) missedLocked(session *savedSession, offset int64) (missed []Payload) {
	in := func(rooms []string) bool {
		return slices.ContainsFunc(rooms, func(room string) bool { return slices.Contains(session.rooms, room) })
	}
	for _, e := range r.events[r.indexLocked(offset)+1:] {
		if (len(e.target.Rooms) == 0 || in(e.target.Rooms)) && !in(e.target.Except) {
			missed = append(missed, e.data)
		}
	}
	return missed
}

func (r *recovery) scheduleLocked() {
	if !r.wheel.Active(&r.timer) {
		r.wheel.Schedule(&r.timer, sweepInterval)
	}
}

// Expire lets go of what is too old.
func (r *recovery) Expire(*wheel.Timer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := time.Now().Add(-r.cfg.MaxDisconnection)
	for pid, session := range r.sessions {
		if session.at.Before(old) {
			delete(r.sessions, pid)
		}
	}
	n := 0
	for n < len(r.events) && r.events[n].at.Before(old) {
		n++
	}
	r.dropLocked(n)
	if len(r.sessions)+len(r.events) > 0 {
		r.scheduleLocked()
	}
}

// pid is the secret by which the client can be restored.
func (s *Socket) pid() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extraLocked()
	if x.pid == "" {
		x.pid = newID()
	}
	return x.pid
}

// restore makes s the socket that it was. It is not visible to anybody yet.
func (s *Socket) restore(session *savedSession) {
	s.id = session.id
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extraLocked()
	x.pid, x.recovered, x.data = session.pid, true, maps.Clone(session.data)
}

// connectPayload tells a client that it is connected.
func connectPayload(s *Socket) Payload {
	body := `{"sid":"` + s.id + `"}`
	if s.nsp.recovery != nil {
		body = `{"sid":"` + s.id + `","pid":"` + s.pid() + `"}`
	}
	return Payload{JSON: []byte(body)}
}
