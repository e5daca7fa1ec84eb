package otelsocketio

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sidereal-io/sidereal/engineio"
)

// The keys of the metrics' attributes.
const (
	keyTransport = "socketio.transport"
	keyStatus    = "socketio.connection.status"
)

// sessions counts sessions, and remembers the traces of their clients.
type sessions struct {
	active   metric.Int64UpDownCounter
	duration metric.Float64Histogram
	open     sync.Map // sid → *session
}

// session is one that is open.
type session struct {
	began  time.Time
	client trace.SpanContext // of the handshake; invalid: it had none

	mu        sync.Mutex // guards the rest
	transport string     // which it counts as
	ended     bool
}

func newSessions(meter metric.Meter) *sessions {
	s := new(sessions)
	var err, err2 error
	s.active, err = meter.Int64UpDownCounter("socketio.server.active_connections",
		metric.WithUnit("{connection}"), metric.WithDescription("Number of sessions that are open on the server."))
	s.duration, err2 = meter.Float64Histogram("socketio.server.connection.duration",
		metric.WithUnit("s"), metric.WithDescription("The duration of sessions on the server."),
		metric.WithExplicitBucketBoundaries(0.01, 0.1, 1, 10, 30, 60, 300, 900, 3600, 4*3600, 24*3600))
	for _, err := range []error{err, err2} {
		if err != nil {
			otel.Handle(err)
		}
	}
	return s
}

// opened counts a new session. The trace of its client is all that it takes of the handshake: no
// baggage, which would reach every service behind the handlers.
func (s *sessions) opened(e *engineio.Session) {
	header := propagation.HeaderCarrier(e.Request().Header)
	client := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(e.Request().Context(), header))
	one := &session{began: time.Now(), client: client, transport: e.Transport()}
	s.open.Store(e.ID(), one)
	s.count(e, 1, one.transport)
}

// upgraded counts a session by its new transport, unless it has ended by now.
func (s *sessions) upgraded(e *engineio.Session) {
	one := s.find(e.ID())
	if one == nil {
		return
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if now := e.Transport(); now != one.transport && !one.ended {
		s.count(e, -1, one.transport)
		one.transport = now
		s.count(e, 1, now)
	}
}

// closed counts the end of a session.
func (s *sessions) closed(e *engineio.Session, reason string) {
	one := s.find(e.ID())
	if one == nil {
		return
	}
	s.open.Delete(e.ID())
	one.mu.Lock()
	defer one.mu.Unlock()
	one.ended = true
	s.count(e, -1, one.transport)
	s.duration.Record(e.Request().Context(), time.Since(one.began).Seconds(), metric.WithAttributes(
		attribute.String(keyTransport, one.transport), attribute.String(keyStatus, statusOf(reason))))
}

func (s *sessions) count(e *engineio.Session, n int64, transport string) {
	s.active.Add(e.Request().Context(), n, metric.WithAttributes(attribute.String(keyTransport, transport)))
}

func (s *sessions) find(sid string) *session {
	if one, ok := s.open.Load(sid); ok {
		return one.(*session)
	}
	return nil
}

// clientOf returns the trace of the client of a session.
func (s *sessions) clientOf(sid string) (client trace.SpanContext) {
	if one := s.find(sid); one != nil {
		client = one.client
	}
	return client
}

// statusOf returns the status for an end. There are few, as for SignalR.
func statusOf(reason string) string {
	switch reason {
	case engineio.TransportClose, engineio.ForcedClose:
		return "normal_closure"
	case engineio.PingTimeout:
		return "timeout"
	case engineio.ShuttingDown:
		return "app_shutdown"
	}
	return "error"
}
