package otelsocketio_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/sidereal-io/sidereal/client"
	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/otelsocketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

const (
	clientTrace = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + clientTrace + "-b7ad6b7169203331-01"
)

// recorder has the spans that ended.
func recorder() (*tracetest.SpanRecorder, trace.TracerProvider) {
	spans := tracetest.NewSpanRecorder()
	return spans, sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
}

func find(t *testing.T, spans *tracetest.SpanRecorder, name string) sdk.ReadOnlySpan {
	t.Helper()
	for _, s := range spans.Ended() {
		if s.Name() == name {
			return s
		}
	}
	t.Fatalf("no span %q has ended", name)
	return nil
}

func attributes(s sdk.ReadOnlySpan) map[attribute.Key]string {
	all := map[attribute.Key]string{}
	for _, a := range s.Attributes() {
		all[a.Key] = a.Value.String()
	}
	return all
}

// TestSpans: an event is the root of a trace with a link to its client's, and the emits of its handler
// are its children.
func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans, provider := recorder()
		cfg := socketio.Config{Trace: otelsocketio.Trace(otelsocketio.Config{TracerProvider: provider, MeterProvider: noop.NewMeterProvider()})}
		srv := socketiotest.Serve(t, cfg, func(_ context.Context, io *socketio.Server) error {
			orders := io.Of("/orders")
			orders.On("order", func(ctx context.Context, s *socketio.Socket, what string) error {
				if baggage.FromContext(ctx).Len() > 0 {
					t.Error("the client's baggage reached the handler")
				}
				if err := s.To("kitchen", "bar").EmitContext(ctx, "cook", what); err != nil {
					return err
				}
				return errors.New("out of stock")
			})
			return nil
		})
		c := srv.ConnectWith(client.Config{Header: http.Header{"Traceparent": {traceparent}, "Baggage": {"user=ada"}}}, "/orders")
		if _, err := c.EmitWithAck(t.Context(), "order", "tea"); err == nil {
			t.Error("the handler's error is lost")
		}
		synctest.Wait()

		process := find(t, spans, "process /orders")
		if process.Parent().IsValid() || process.SpanKind() != trace.SpanKindConsumer {
			t.Errorf("parent %v, kind %v", process.Parent(), process.SpanKind())
		}
		links := process.Links()
		if len(links) != 1 || links[0].SpanContext.TraceID().String() != clientTrace || process.SpanContext().TraceID().String() == clientTrace {
			t.Errorf("links %v of trace %v", links, process.SpanContext().TraceID())
		}
		if process.Status().Code != codes.Error || process.Status().Description != "out of stock" {
			t.Errorf("status %+v", process.Status())
		}
		want := map[attribute.Key]string{
			"messaging.system": "socket.io", "messaging.operation.type": "process", "messaging.operation.name": "process",
			"messaging.destination.name": "/orders", "messaging.socket.io.namespace": "/orders", "messaging.socket.io.event_name": "order",
			"error.type": "*errors.errorString",
		}
		for key, value := range want {
			if got := attributes(process)[key]; got != value {
				t.Errorf("process: %s is %q, want %q", key, got, value)
			}
		}
		if len(process.Attributes()) != len(want) {
			t.Errorf("process: attributes %v", process.Attributes())
		}

		send := find(t, spans, "send /orders")
		if send.Parent().SpanID() != process.SpanContext().SpanID() || send.SpanKind() != trace.SpanKindProducer || send.Status().Code != codes.Unset {
			t.Errorf("send: parent %v, kind %v, status %v", send.Parent(), send.SpanKind(), send.Status())
		}
		if got := attributes(send)["messaging.socket.io.rooms"]; got != `["kitchen","bar"]` {
			t.Errorf("send: rooms %s", got)
		}
	})
}

// TestHostileNames: names that clients choose are bounded, and are text.
func TestHostileNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans, provider := recorder()
		cfg := socketio.Config{Trace: otelsocketio.Trace(otelsocketio.Config{TracerProvider: provider, MeterProvider: noop.NewMeterProvider()})}
		srv := socketiotest.Serve(t, cfg, func(context.Context, *socketio.Server) error { return nil })
		c := srv.ConnectWith(client.Config{Header: http.Header{"Traceparent": {"00-" + strings.Repeat("f", 5000)}}}, "/")
		names := []string{strings.Repeat("e", 100_000), strings.Repeat("é", 5000), strings.Repeat("\U0001F600", 64) + "e"}
		for _, name := range names {
			if err := c.Emit(name); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		ended := spans.Ended()
		if len(ended) != len(names) {
			t.Fatalf("%d spans", len(ended))
		}
		for i, s := range ended {
			name := attributes(s)["messaging.socket.io.event_name"]
			if len(name) > 256 || len(name) < 250 || !utf8.ValidString(name) || !strings.HasPrefix(names[i], name) {
				t.Errorf("event %d: %q", i, name)
			}
			if len(s.Links()) > 0 {
				t.Errorf("event %d: links %v", i, s.Links())
			}
		}
		rooms := make([]string, 1000)
		for i := range rooms {
			rooms[i] = names[0]
		}
		if err := srv.To(rooms...).Emit("e"); err != nil {
			t.Fatal(err)
		}
		send := find(t, spans, "send /")
		if got := attributes(send)["messaging.socket.io.rooms"]; len(got) > 16*300 {
			t.Errorf("the rooms take %d bytes", len(got))
		}
	})
}

// TestSessions: the pair of metrics counts sessions by transport, and their ends by status.
func TestSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := metric.NewManualReader()
		cfg := socketio.Config{Trace: otelsocketio.Trace(otelsocketio.Config{
			TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: metric.NewMeterProvider(metric.WithReader(reader)),
		})}
		srv := socketiotest.Serve(t, cfg, func(context.Context, *socketio.Server) error { return nil })
		first := srv.Connect("/", nil)                                              // polls, and upgrades
		srv.ConnectWith(client.Config{Transports: []string{client.WebSocket}}, "/") // doesn't poll
		srv.ConnectWith(client.Config{Transports: []string{client.Polling}}, "/")   // doesn't upgrade
		synctest.Wait()
		wantActive(t, reader, map[string]int64{"websocket": 2, "polling": 1})
		time.Sleep(40 * time.Second)
		first.Disconnect()
		synctest.Wait()
		wantActive(t, reader, map[string]int64{"websocket": 1, "polling": 1})
		srv.Stop()
		synctest.Wait()
		wantActive(t, reader, map[string]int64{"websocket": 0, "polling": 0})

		var ends []string
		for _, p := range gather(t, reader)["socketio.server.connection.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
			ends = append(ends, p.Attributes.Encoded(attribute.DefaultEncoder()))
			if p.Count != 1 || p.Sum < 39 || p.Sum > 100 {
				t.Errorf("%v: %d ends, %v s", p.Attributes, p.Count, p.Sum)
			}
		}
		slices.Sort(ends)
		want := []string{
			"socketio.connection.status=app_shutdown,socketio.transport=polling",
			"socketio.connection.status=app_shutdown,socketio.transport=websocket",
			"socketio.connection.status=normal_closure,socketio.transport=websocket",
		}
		if !slices.Equal(ends, want) {
			t.Errorf("ends %q, want %q", ends, want)
		}
	})
}

// TestDisabled: without somebody who records, there is nothing to call.
func TestDisabled(t *testing.T) {
	nothing := otelsocketio.Trace(otelsocketio.Config{TracerProvider: tracenoop.NewTracerProvider(), MeterProvider: noop.NewMeterProvider()})
	if nothing.Handle != nil || nothing.Emit != nil || nothing.Opened != nil || nothing.Closed != nil || nothing.Upgraded != nil {
		t.Errorf("functions for nobody: %+v", nothing)
	}
	_, provider := recorder()
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if off := otelsocketio.Trace(otelsocketio.Config{TracerProvider: provider}); off.Handle != nil || off.Opened != nil {
		t.Errorf("functions of a disabled SDK: %+v", off)
	}
	t.Setenv("OTEL_SDK_DISABLED", "false")
	if on := otelsocketio.Trace(otelsocketio.Config{TracerProvider: provider}); on.Handle == nil || on.Opened == nil {
		t.Errorf("no functions: %+v", on)
	}
}

func gather(t *testing.T, reader metric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	metrics := map[string]metricdata.Metrics{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			metrics[m.Name] = m
		}
	}
	return metrics
}

func wantActive(t *testing.T, reader metric.Reader, want map[string]int64) {
	t.Helper()
	for _, p := range gather(t, reader)["socketio.server.active_connections"].Data.(metricdata.Sum[int64]).DataPoints {
		transport, _ := p.Attributes.Value("socketio.transport")
		if p.Value != want[transport.AsString()] {
			t.Errorf("%d sessions by %s, want %d", p.Value, transport.AsString(), want[transport.AsString()])
		}
	}
}
