package socketio

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Recovery configures connection state recovery: a client that comes back after a short break is the socket it was,
// with its id, rooms and data, and gets what it missed. Every event that wants no answer and is not volatile then
// carries one more argument, the offset, by which the client says what it has seen.
//
// What that takes is kept in this process; with a Config.Adapter it is kept by the adapter, so that the client may come
// back to any server, or recovery is off where the adapter is no [RecoveringAdapter].
type Recovery struct {
	// MaxDisconnection is how long a client may be away. Default 2 minutes.
	MaxDisconnection time.Duration
	// RunMiddlewares runs the namespace's middlewares for a client that came back, too. They are
	// skipped by default, but for a session that doesn't name its namespace, as Node's servers
	// store it.
	RunMiddlewares bool
	// MaxBytes bounds the events that are kept of one namespace in this process; beyond it the oldest go first. An adapter
	// bounds what the cluster keeps by settings of its own. Default 64 MiB.
	MaxBytes int
}

// RecoveringAdapter is an Adapter whose cluster keeps what recovery needs.
type RecoveringAdapter interface {
	Adapter
	// Recover turns recovery on, before the namespace is used.
	Recover(cfg Recovery) Recoverer
}

// Recoverer keeps the sessions of one namespace, and a log of the events that a client may have missed. Its methods may
// be called concurrently.
type Recoverer interface {
	// Emit has b delivered to the sockets of all servers, here too, in the order of the log. It does not block: b may be
	// delivered after it has returned, soon and in the order of the calls.
	Emit(b *Broadcast) error
	// After calls f once all that Emit was called for has been delivered here: now, as a rule, or soon, on another goroutine.
	// F must not block.
	After(f func())
	// Begin is the time of a new socket.
	Begin(pid string, h Holder) Tenure
	// Resume ends the absence of a client, if its session is of this namespace and what it missed
	// since offset is still known; then nobody else can, until the tenure has ended. An empty
	// offset says that the client has seen no event that had one. It returns what the socket was,
	// and its new time, or false.
	Resume(ctx context.Context, pid, offset string, h Holder) (Session, Tenure, bool)
}

// Holder is a socket as a Recoverer sees it.
type Holder interface {
	// Session is what the socket is at the moment, or false once it has ended.
	Session() (Session, bool)
	// Displaced says that another server has the session now, and the client with it.
	Displaced()
}

// Tenure is the time during which this server has a session. It ends with Left or End, after which nothing has an effect.
type Tenure interface {
	// Enter calls f while nothing is delivered, with what the client missed: what is delivered later is not among that. F
	// makes the socket visible to broadcasts, and tells whether it did. Enter returns once f has.
	Enter(f func(missed []Payload) bool)
	// Changed says that the socket's rooms or data have changed.
	Changed()
	// Left says that the client is gone, and may come back.
	Left(was Session)
	// End says that it will not.
	End()
}

// Session is what a socket is to be once its client is back.
type Session struct {
	ID    string // the socket's
	PID   string // the secret by which the client shows that it was the socket
	Rooms []string
	Data  map[string]any
	// Unproven says that the session may be of another namespace. The middlewares then decide about
	// the client as about a new one, before it gets anything of the session but its ids.
	Unproven bool
}

// comesBack tells whether a client that is gone for this reason may come back.
func comesBack(reason string) bool {
	switch reason {
	case ReasonTransportError, ReasonTransportClose, ReasonForcedClose, ReasonPingTimeout, ReasonShuttingDown, ReasonForcedServerClose:
		return true
	}
	return false
}

// emit has b delivered here and, unless local, on the other servers.
func (n *Namespace) emit(b *Broadcast, local bool) error {
	alone := local || n.adapter == nil
	switch {
	case n.recovery == nil:
		n.deliver(b)
	case !b.Flags.Volatile && (!local || n.adapter == nil):
		return n.recovery.Emit(b)
	default:
		n.recovery.After(func() { n.deliver(b) })
	}
	if alone {
		return nil
	}
	return n.adapter.Broadcast(b)
}

// after calls f once what was emitted before has been delivered here, as far as it was not yet.
func (n *Namespace) after(f func()) {
	if n.recovery == nil {
		f()
		return
	}
	n.recovery.After(f)
}

// settle waits until what was emitted before has been delivered here, or ctx ends.
func (n *Namespace) settle(ctx context.Context) {
	if n.recovery == nil {
		return
	}
	settled := make(chan struct{})
	n.recovery.After(func() { close(settled) })
	select {
	case <-settled:
	case <-ctx.Done():
	}
}

// withOffset is b as clients get it: with its offset as one more argument, if it has one.
func (b *Broadcast) withOffset() *Broadcast {
	if b.Offset == "" {
		return b
	}
	return &Broadcast{Target: b.Target, Flags: b.Flags, Data: WithOffset(b.Data, b.Offset)}
}

// WithOffset returns an event with one more argument. For a Recoverer, whose offsets are of letters, digits and hyphens.
func WithOffset(event Payload, offset string) Payload {
	text := slices.Grow(slices.Clip(event.JSON[:len(event.JSON)-1]), len(offset)+4)
	text = append(append(append(text, `,"`...), offset...), `"]`...)
	return Payload{JSON: text, Attachments: event.Attachments}
}

// resume restores s if its client was here before, and begins its tenure either way. It is not visible to anybody yet.
func (s *Socket) resume() {
	var auth struct{ PID, Offset string }
	if len(s.auth) > 0 && (&Handshake{Auth: s.auth}).DecodeAuth(&auth) == nil && auth.PID != "" {
		if session, tenure, ok := s.nsp.recovery.Resume(s.Context(), auth.PID, auth.Offset, holder{s}); ok {
			if s.restore(session, tenure) {
				return
			}
		}
	}
	tenure := s.nsp.recovery.Begin(s.pid(), holder{s})
	s.mu.Lock()
	s.extraLocked().tenure = tenure
	s.mu.Unlock()
}

// restore makes s the socket that it was; of an unproven session it takes the ids alone. A session
// in more rooms than a socket may be in is forgotten.
func (s *Socket) restore(session Session, tenure Tenure) bool {
	if len(session.Rooms) > s.nsp.rooms.most+1 {
		s.client.server.cfg.Log.Warn().Str("namespace", s.namespace).Int("rooms", len(session.Rooms)).
			Msg("session not recovered: it is in too many rooms")
		tenure.End()
		return false
	}
	s.id = session.ID // now, since middlewares may show the socket to others
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extraLocked()
	x.pid, x.tenure = session.PID, tenure
	if session.Unproven {
		x.claimed = &session
		return true
	}
	x.recovered, x.data, x.back = true, session.Data, session.Rooms
	return true
}

// believe restores the rest of an unproven session once the middlewares have let its client in. The
// values that they set win.
func (s *Socket) believe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extra == nil || s.extra.claimed == nil {
		return
	}
	x := s.extra
	session := x.claimed
	data := maps.Clone(session.Data)
	if data == nil {
		data = make(map[string]any, len(x.data))
	}
	maps.Copy(data, x.data)
	x.recovered, x.data, x.back, x.claimed = true, data, session.Rooms, nil
}

// giveBack leaves the session of a client that a middleware refused for another try.
func (s *Socket) giveBack(rooms []string) {
	s.mu.Lock()
	claimed, back := (*Session)(nil), false
	if x := s.extra; x != nil {
		claimed, back = x.claimed, x.recovered
		if back {
			rooms = x.back
		}
	}
	s.mu.Unlock()
	if claimed != nil {
		s.tenure().Left(*claimed)
		return
	}
	s.keep(back, rooms)
}

// holder is a socket as its Recoverer sees it.
type holder struct{ s *Socket }

// Session implements Holder.
func (h holder) Session() (Session, bool) {
	s := h.s
	was := Session{ID: s.id, PID: s.pid(), Rooms: s.nsp.rooms.of(s), Data: s.Data()}
	s.mu.Lock()
	defer s.mu.Unlock()
	return was, s.state != stateEnded
}

// Displaced closes the connection, of which the client knows nothing any more, or from which it comes back.
func (h holder) Displaced() { h.s.client.session.Close() }

// tenure is nil where recovery is off, or the socket's end has been told.
func (s *Socket) tenure() Tenure {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extra == nil {
		return nil
	}
	return s.extra.tenure
}

// changed says that the socket's rooms or data have changed.
func (s *Socket) changed() {
	if s.nsp == nil || s.nsp.recovery == nil {
		return
	}
	if t := s.tenure(); t != nil {
		t.Changed()
	}
}

// keep ends the tenure: with what the socket was, if its client may come back.
func (s *Socket) keep(back bool, rooms []string) {
	t := s.tenure()
	switch {
	case t == nil:
	case back:
		t.Left(Session{ID: s.id, PID: s.pid(), Rooms: rooms, Data: s.Data()})
	default:
		t.End()
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

// connectPayload tells a client that it is connected.
func connectPayload(s *Socket) Payload {
	body := appendQuoted([]byte(`{"sid":`), s.id)
	if s.nsp.recovery != nil {
		body = appendQuoted(append(body, `,"pid":`...), s.pid())
	}
	return Payload{JSON: append(body, '}')}
}

// appendQuoted appends an id as a JSON string. Those of a session that was stored elsewhere may
// have any characters.
func appendQuoted(dst []byte, id string) []byte {
	dst, _ = jsontext.AppendQuote(dst, id) // ids are UTF-8
	return dst
}
