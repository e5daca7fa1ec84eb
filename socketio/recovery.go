package socketio

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sidereal-io/sidereal/socketio/cluster"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Recovery configures connection state recovery. A client that comes back after a short break gets
// its old socket, with the id, rooms and data, and the events that it missed. Every event that
// isn't volatile and wants no answer then carries one more argument, by which the client says which
// events it has.
//
// The server keeps that state in this process. With a Config.Adapter the adapter keeps it, so that
// the client may come back to any server; recovery is off if the adapter can't (see package
// adapter).
type Recovery struct {
	// MaxDisconnection limits the time that a client may be away. Zero means 2 minutes.
	MaxDisconnection time.Duration
	// RunMiddlewares runs the namespace's middlewares for recovered clients, too. By default
	// they run only if the stored session doesn't name its namespace; Node's servers store
	// such.
	RunMiddlewares bool
	// MaxBytes limits the events that this process keeps for one namespace; the oldest go
	// first, and the server logs an event that is larger. Zero means 64 MiB. Adapters limit what
	// the cluster keeps by settings of their own.
	MaxBytes int
}

// comesBack reports whether a client that left for this reason may come back.
func comesBack(reason string) bool {
	switch reason {
	case ReasonTransportError, ReasonTransportClose, ReasonForcedClose, ReasonPingTimeout, ReasonShuttingDown, ReasonForcedServerClose:
		return true
	}
	return false
}

// emit delivers b here and, unless local, on the other servers.
func (n *Namespace) emit(b *cluster.Broadcast, local bool) error {
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

// after calls f once earlier emits have been delivered here.
func (n *Namespace) after(f func()) {
	if n.recovery == nil {
		f()
		return
	}
	n.recovery.After(f)
}

// settle waits until earlier emits have been delivered here, or ctx ends.
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

// withOffset returns b as clients get it: with its offset, if it has one, as one more argument.
func withOffset(b *cluster.Broadcast) *cluster.Broadcast {
	if b.Offset == "" {
		return b
	}
	return &cluster.Broadcast{Target: b.Target, Flags: b.Flags, Data: cluster.WithOffset(b.Data, b.Offset)}
}

// resume restores s if its client was here before, and starts its lease either way. Nobody sees the
// socket yet.
func (s *Socket) resume() {
	var auth struct{ PID, Offset string }
	if len(s.auth) > 0 && (&Handshake{Auth: s.auth}).DecodeAuth(&auth) == nil && auth.PID != "" {
		if snapshot, lease, ok := s.nsp.recovery.Resume(s.Context(), auth.PID, auth.Offset, holder{s}); ok {
			reason, err := s.restore(snapshot, lease)
			if err == nil {
				return
			}
			s.unrecovered(reason, err)
			lease.End()
			s.nsp.gone(snapshot)
		}
	}
	s.beginLease()
}

func (s *Socket) beginLease() {
	lease := s.nsp.recovery.Begin(s.pid(), holder{s})
	s.mu.Lock()
	s.extraLocked().lease = lease
	s.mu.Unlock()
}

// restore gives s the ids of a snapshot, and the rest of a proven one. It changes nothing if it
// fails: the snapshot has more rooms than a socket may be in, or data that doesn't fit the keys.
func (s *Socket) restore(snapshot cluster.Snapshot, lease cluster.Lease) (reason string, err error) {
	if len(snapshot.Rooms) > s.nsp.rooms.most+1 {
		return unrecoveredRooms, fmt.Errorf("it was in %d rooms", len(snapshot.Rooms))
	}
	d, err := readData(snapshot.Data, s.nsp.registry.Load().keys, s.nsp.server.cfg.MaxDataBytes)
	if err != nil && !snapshot.Unproven {
		return unrecoveredData, err
	}
	s.id = snapshot.ID // now, since middlewares may show the socket to others
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extraLocked()
	x.pid, x.lease = snapshot.PID, lease
	if snapshot.Unproven {
		x.claimed = &snapshot
		return "", nil
	}
	x.recovered, x.data, x.back = true, d, snapshot.Rooms
	return "", nil
}

// restoreClaimed restores the rest of an unproven snapshot after the middlewares have accepted the
// client. Values that they set take precedence.
func (s *Socket) restoreClaimed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extra == nil || s.extra.claimed == nil {
		return nil
	}
	x := s.extra
	d, err := readData(x.claimed.Data, s.nsp.registry.Load().keys, s.nsp.server.cfg.MaxDataBytes)
	if err != nil {
		return err
	}
	for _, m := range x.data {
		d = d.with(m)
	}
	x.recovered, x.data, x.back, x.claimed = true, d, x.claimed.Rooms, nil
	return nil
}

// comeBack completes the restoration of a socket that the middlewares have accepted. If it returns
// false, the client can't be recovered, and the socket is that of a new client.
func (s *Socket) comeBack(r *registry) bool {
	if err := s.restoreClaimed(); err != nil {
		s.unrecovered(unrecoveredData, err)
		s.startAnew()
		return false
	}
	if !s.Recovered() {
		return true
	}
	s.enterRooms(s.extra.back)
	for _, f := range r.recover {
		err := s.contain("recover", func() error { return f(s.Context(), s) })
		if err != nil && s.Context().Err() == nil { // else the client has left again, and may try again
			s.unrecovered(unrecoveredApp, err)
			s.startAnew()
			return false
		}
	}
	return true
}

// startAnew makes s, which nobody has seen but middlewares and OnRecover, the socket of a client
// that was never here, and deletes the snapshot.
func (s *Socket) startAnew() {
	_, events := s.nsp.rooms.leaveAll(s)
	s.nsp.tellRooms(events)
	s.lease().End()
	s.nsp.gone(s.was())
	s.nsp.rooms.readmit(s)
	s.id = newID()
	s.mu.Lock()
	x := s.extra
	x.pid, x.lease, x.recovered, x.back, x.claimed = "", nil, false, nil, nil
	x.data, x.locals, x.events = nil, nil, nil
	s.mu.Unlock()
	s.beginLease()
}

// was returns the snapshot that a connecting socket was restored from.
func (s *Socket) was() cluster.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extra.claimed != nil {
		return *s.extra.claimed
	}
	return cluster.Snapshot{ID: s.id, Rooms: s.extra.back, Data: s.extra.data.payload()}
}

// gone tells the app that a client won't come back. It doesn't block.
func (n *Namespace) gone(was cluster.Snapshot) {
	if hooks := n.registry.Load().gone; len(hooks) > 0 {
		n.aside(func() { n.tellGone(hooks, was) })
	}
}

func (n *Namespace) tellGone(hooks []func(RemoteSocket), was cluster.Snapshot) {
	s := RemoteSocket{ID: was.ID, Rooms: was.Rooms, nsp: n, data: was.Data}
	for _, f := range hooks {
		func() {
			defer func() {
				if v := recover(); v != nil {
					_ = n.server.panicked(v, "namespace", n.name, "event", "gone") // it logs
				}
			}()
			f(s)
		}()
	}
}

// unrecovered counts and logs that a client starts anew though there was a snapshot.
func (s *Socket) unrecovered(reason string, err error) {
	server := s.client.server
	server.metrics.unrecovered.WithLabelValues(reason).Inc()
	server.notices.recoveries.Warn(server.cfg.Log, "client is not recovered and starts anew",
		"namespace", s.namespace, "socket", s.id, "reason", reason, "error", err)
}

// giveBack returns the snapshot of a client that a middleware refused, so that it may try again.
func (s *Socket) giveBack(rooms []string) {
	s.mu.Lock()
	claimed, back := (*cluster.Snapshot)(nil), false
	if x := s.extra; x != nil {
		claimed, back = x.claimed, x.recovered
		if back {
			rooms = x.back
		}
	}
	s.mu.Unlock()
	if claimed != nil {
		s.lease().Left(*claimed)
		return
	}
	s.endLease(back, rooms)
}

// holder is a socket as its Recoverer sees it.
type holder struct{ s *Socket }

// Snapshot implements cluster.Holder.
func (h holder) Snapshot() (cluster.Snapshot, bool) {
	s := h.s
	was := cluster.Snapshot{ID: s.id, PID: s.pid(), Rooms: s.nsp.rooms.of(s), Data: s.data().payload()}
	s.mu.Lock()
	defer s.mu.Unlock()
	return was, s.state != stateEnded
}

// Displaced closes the connection. Its client has another one, or will connect again.
func (h holder) Displaced() { h.s.client.session.Close() }

// lease returns nil if recovery is off or the lease has ended.
func (s *Socket) lease() cluster.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extra == nil {
		return nil
	}
	return s.extra.lease
}

// changed tells the lease that the socket's rooms or data have changed.
func (s *Socket) changed() {
	if s.nsp == nil || s.nsp.recovery == nil {
		return
	}
	if t := s.lease(); t != nil {
		t.Changed()
	}
}

// endLease ends the lease: with a snapshot if the client may come back.
func (s *Socket) endLease(back bool, rooms []string) {
	t := s.lease()
	switch {
	case t == nil:
	case back:
		t.Left(cluster.Snapshot{ID: s.id, PID: s.pid(), Rooms: rooms, Data: s.data().payload()})
	default:
		t.End()
	}
}

// pid returns the secret by which the client can be restored.
func (s *Socket) pid() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.extraLocked()
	if x.pid == "" {
		x.pid = newID()
	}
	return x.pid
}

// connectPayload is the content of the packet that tells a client that it is connected.
func connectPayload(s *Socket) packet.Payload {
	body := appendQuoted([]byte(`{"sid":`), s.id)
	if s.nsp.recovery != nil {
		body = appendQuoted(append(body, `,"pid":`...), s.pid())
	}
	return packet.Payload{JSON: append(body, '}')}
}

// appendQuoted appends an id as a JSON string. An id of a stored snapshot may have any characters.
func appendQuoted(dst []byte, id string) []byte {
	dst, _ = jsontext.AppendQuote(dst, id) // ids are UTF-8
	return dst
}
