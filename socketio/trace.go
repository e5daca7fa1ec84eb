package socketio

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/engineio"
	"github.com/sidereal-io/sidereal/socketio/packet"
)

// Trace has functions that the server calls for packets and events, for an app's own metrics and
// tracing. A nil function costs nothing. The calls may be concurrent.
type Trace struct {
	// Opened is called for each new session, before anything is received. It must not block.
	Opened func(s *engineio.Session)
	// Upgraded is called when a session has moved from polling to WebSocket. It must not block.
	Upgraded func(s *engineio.Session)
	// Closed is called once for each session that has ended, with the reason as package engineio
	// names it.
	Closed func(s *engineio.Session, reason string)
	// Received is called for each packet of a client before the server acts on it. It runs on the
	// goroutine that reads and must not block. bytes doesn't count the binary parts that follow.
	Received func(s *engineio.Session, h packet.Header, bytes int)
	// Sent is called for each packet that goes to a client's session, once for each client that a
	// broadcast reaches. bytes counts the binary parts. It must not block.
	Sent func(s *engineio.Session, h packet.Header, bytes int)
	// Handle is called before the middlewares and handlers of an event, on their goroutine. The
	// context that it returns replaces theirs; it must be derived from ctx. done, unless it is nil,
	// is called after the last handler, with the first error.
	Handle func(ctx context.Context, s *Socket, event string, args Args) (_ context.Context, done func(error))
	// Exemplar returns labels for the event's sample in sidereal_socketio_event_seconds, such as its
	// trace_id, or nil. The context is that of Handle. Names and values have at most 128 characters
	// together.
	Exemplar func(ctx context.Context) prometheus.Labels
	// Emit is called before an event is emitted, with the context of EmitContext or EmitWithAck; an
	// Emit without a context has the server's. The rooms are those of To, or a socket's id; none are
	// all sockets. It runs on the goroutine that emits. done, unless it is nil, is called with the
	// result: of EmitWithAck after the answers.
	Emit func(ctx context.Context, n *Namespace, rooms []string, event string) (done func(error))
}

// traced ends what Trace.Emit began.
type traced func(error)

func (t traced) with(err error) {
	if t != nil {
		t(err)
	}
}

// traceEmit calls Trace.Emit, if there is one.
func (o Operator) traceEmit(ctx context.Context, event string) traced {
	if t := o.nsp.server.cfg.Trace; t != nil && t.Emit != nil {
		return t.Emit(ctx, o.nsp, o.target.Rooms, event)
	}
	return nil
}

func (s *Socket) traceEmit(ctx context.Context, event string) traced {
	if t := s.nsp.server.cfg.Trace; t != nil && t.Emit != nil {
		return t.Emit(ctx, s.nsp, []string{s.id}, event)
	}
	return nil
}

func (t *Trace) opened(s *engineio.Session) {
	if t != nil && t.Opened != nil {
		t.Opened(s)
	}
}

func (t *Trace) upgraded(s *engineio.Session) {
	if t != nil && t.Upgraded != nil {
		t.Upgraded(s)
	}
}

func (t *Trace) closed(s *engineio.Session, reason string) {
	if t != nil && t.Closed != nil {
		t.Closed(s, reason)
	}
}

func (t *Trace) received(s *engineio.Session, h packet.Header, bytes int) {
	if t != nil && t.Received != nil {
		t.Received(s, h, bytes)
	}
}

func (t *Trace) sent(s *engineio.Session, h packet.Header, ms []*engineio.Message) {
	if t == nil || t.Sent == nil {
		return
	}
	bytes := 0
	for _, m := range ms {
		bytes += m.Len()
	}
	t.Sent(s, h, bytes)
}

// handle calls Trace.Handle, if there is one.
func (t *Trace) handle(s *Socket, event []byte, args Args) (ctx context.Context, done func(error)) {
	if t != nil && t.Handle != nil {
		s.contain("Trace", func() error {
			ctx, done = t.Handle(s.Context(), s, string(event), args)
			return nil
		})
	}
	return ctx, done
}
