package otelsocketio_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/otelsocketio"
	"github.com/sidereal-io/sidereal/socketio/socketiotest"
)

// BenchmarkEvent is what an event and the emit of its handler cost more with spans.
func BenchmarkEvent(b *testing.B) {
	for name, provider := range map[string]trace.TracerProvider{
		"nobody records": otel.GetTracerProvider(), // without an SDK
		"not sampled":    sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())),
		"recorded":       sdk.NewTracerProvider(),
	} {
		b.Run(name, func(b *testing.B) {
			t := otelsocketio.Trace(otelsocketio.Config{TracerProvider: provider, MeterProvider: noop.NewMeterProvider()})
			srv := socketiotest.Serve(b, socketio.Config{Trace: t}, func(context.Context, *socketio.Server) error { return nil })
			c := srv.Connect("/", nil)
			s, ok := srv.Socket(c.ID())
			if !ok {
				b.Fatal("no socket")
			}
			rooms := []string{"lobby"}
			b.ReportAllocs()
			for b.Loop() {
				ctx, handled := t.Handle(s.Context(), s, "say", socketio.Args{})
				if emitted := t.Emit(ctx, s.Namespace(), rooms, "said"); emitted != nil {
					emitted(nil)
				}
				if handled != nil {
					handled(nil)
				}
			}
		})
	}
}
