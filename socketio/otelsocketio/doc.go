// Package otelsocketio makes OpenTelemetry spans and metrics of a Socket.IO server (ADR 0055).
//
//	cfg := socketio.Config{Trace: otelsocketio.Trace(otelsocketio.Config{})}
//
// It needs OpenTelemetry's API only. The program chooses the SDK and the exporters, as for otelhttp:
// with otel.SetTracerProvider and otel.SetMeterProvider, or in [Config].
//
// # Spans
//
// Each event of a client has a span "process /namespace" of kind consumer, around its middlewares
// and handlers. It is the root of a trace: a connection lives for hours, and one trace for all its
// events would never end. If the handshake had a traceparent header, the span has a link to that
// client's trace. Each emit has a span "send /namespace" of kind producer. It is a child of the span
// in the context of EmitContext and EmitWithAck; the span of EmitWithAck ends after the answers. An
// emit without a context has a root span.
//
// The attributes are those of the messaging conventions, and the three that the instrumentation of
// Node's servers sets: messaging.socket.io.namespace, messaging.socket.io.event_name and, of an
// emit, messaging.socket.io.rooms. Clients choose the names of events, so attributes hold at most
// 256 bytes of a name, and 16 rooms. No span holds arguments, addresses or headers. The package
// takes no baggage from clients.
//
// # Metrics
//
//	socketio.server.active_connections     sessions by socketio.transport: polling, websocket
//	socketio.server.connection.duration    seconds, when a session ends, also by
//	                                       socketio.connection.status: normal_closure, timeout,
//	                                       app_shutdown, error
//
// The same functions may serve several servers, concurrently.
package otelsocketio
