package otelsocketio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/sidereal-io/sidereal/socketio"
)

// Config says where spans and metrics go.
type Config struct {
	// TracerProvider makes the spans. Nil means the global one of package otel.
	TracerProvider trace.TracerProvider
	// MeterProvider counts the sessions. Nil means the global one of package otel.
	MeterProvider metric.MeterProvider
}

// scope names this package in spans and metrics.
const scope = "github.com/sidereal-io/sidereal/socketio/otelsocketio"

// Trace returns functions for [socketio.Config], which make spans and metrics. With
// OTEL_SDK_DISABLED=true they are nil, and so are those for a provider of package noop: they cost
// nothing then. An error of a provider goes to OpenTelemetry's error handler.
func Trace(cfg Config) *socketio.Trace {
	var functions socketio.Trace
	if disabled, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); disabled {
		return &functions
	}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	_, noSpans := cfg.TracerProvider.(tracenoop.TracerProvider)
	_, noMetrics := cfg.MeterProvider.(noop.MeterProvider)
	if noSpans && noMetrics {
		return &functions
	}
	t := &tracer{Tracer: cfg.TracerProvider.Tracer(scope), sessions: newSessions(cfg.MeterProvider.Meter(scope))}
	functions.Opened, functions.Upgraded, functions.Closed = t.sessions.opened, t.sessions.upgraded, t.sessions.closed
	if !noSpans {
		functions.Handle, functions.Emit, functions.Exemplar = t.handle, t.emit, exemplar
	}
	return &functions
}

type tracer struct {
	trace.Tracer
	sessions *sessions
	kinds    sync.Map // kindKey → *kind
	count    atomic.Int32
}

// kind is what all spans of an operation in a namespace share.
type kind struct {
	name string
	opts []trace.SpanStartOption // without spare room
}

type kindKey struct{ operation, namespace string }

// maxKinds limits the kinds that are kept: patterns make any number of namespaces.
const maxKinds = 1000

func (t *tracer) kind(operation, namespace string) *kind {
	key := kindKey{operation, namespace}
	if k, ok := t.kinds.Load(key); ok {
		return k.(*kind)
	}
	namespace = bounded(namespace)
	opts := []trace.SpanStartOption{trace.WithAttributes(
		attribute.String(keySystem, "socket.io"), attribute.String(keyType, operation), attribute.String(keyOperation, operation),
		attribute.String(keyDestination, namespace), attribute.String(keyNamespace, namespace))}
	if operation == process {
		opts = append(opts, trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindConsumer))
	} else {
		opts = append(opts, trace.WithSpanKind(trace.SpanKindProducer))
	}
	k := &kind{operation + " " + namespace, slices.Clip(opts)}
	if t.count.Load() < maxKinds {
		t.count.Add(1)
		t.kinds.Store(key, k)
	}
	return k
}

// The attributes' keys.
const (
	keySystem      = "messaging.system"
	keyType        = "messaging.operation.type"
	keyOperation   = "messaging.operation.name"
	keyDestination = "messaging.destination.name"
	keyErrorType   = "error.type"

	// As @opentelemetry/instrumentation-socket.io.
	keyNamespace = "messaging.socket.io.namespace"
	keyEvent     = "messaging.socket.io.event_name"
	keyRooms     = "messaging.socket.io.rooms"
)

// The operations.
const (
	process = "process"
	send    = "send"
)

// handle makes the span of an event.
func (t *tracer) handle(ctx context.Context, s *socketio.Socket, event string, _ socketio.Args) (context.Context, func(error)) {
	k := t.kind(process, s.Namespace().Name())
	opts := append(k.opts, trace.WithAttributes(attribute.String(keyEvent, bounded(event))))
	if client := t.sessions.clientOf(s.SID()); client.IsValid() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: client}))
	}
	return t.start(ctx, k, opts)
}

// emit makes the span of an emit.
func (t *tracer) emit(ctx context.Context, n *socketio.Namespace, rooms []string, event string) func(error) {
	k := t.kind(send, n.Name())
	opts := append(k.opts, trace.WithAttributes(attribute.String(keyEvent, bounded(event))))
	if len(rooms) > 0 {
		opts = append(opts, trace.WithAttributes(attribute.StringSlice(keyRooms, boundedList(rooms))))
	}
	_, done := t.start(ctx, k, opts)
	return done
}

// exemplar names the span of an event, if somebody keeps it.
func exemplar(ctx context.Context) prometheus.Labels {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsSampled() {
		return nil
	}
	return prometheus.Labels{"trace_id": span.TraceID().String(), "span_id": span.SpanID().String()}
}

// start begins a span. The function that it returns ends the span; it is nil for one that nobody
// records.
func (t *tracer) start(ctx context.Context, k *kind, opts []trace.SpanStartOption) (context.Context, func(error)) {
	ctx, span := t.Start(ctx, k.name, opts...)
	if !span.IsRecording() {
		return ctx, nil
	}
	return ctx, func(err error) {
		if err != nil {
			span.SetAttributes(attribute.String(keyErrorType, typeOf(err)))
			span.SetStatus(codes.Error, bounded(err.Error()))
		}
		span.End()
	}
}

// typeOf names the kind of an error, by the few that have a name here or by its type.
func typeOf(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, socketio.ErrTimeout):
		return "timeout"
	case errors.Is(err, socketio.ErrDisconnected):
		return "disconnected"
	}
	return fmt.Sprintf("%T", err)
}

const (
	maxName  = 256 // bytes of a name in an attribute
	maxRooms = 16  // of an emit in an attribute
)

// bounded returns the beginning of a text that may be a client's.
func bounded(s string) string {
	if len(s) > maxName {
		s = s[:maxName]
		for !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		s = s[:len(s)-1] // the first byte of a rune, which may be cut
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

func boundedList(rooms []string) []string {
	list := make([]string, min(len(rooms), maxRooms))
	for i := range list {
		list[i] = bounded(rooms[i])
	}
	return list
}
