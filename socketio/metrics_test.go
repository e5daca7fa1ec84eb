package socketio_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sidereal-io/sidereal/socketio"
	"github.com/sidereal-io/sidereal/socketio/internal/peer"
)

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	cfg := socketio.Config{}
	cfg.Metrics = registry
	serve(t, cfg, func(io *socketio.Server) {
		echo(io)
		io.On("panic", func() { panic("oh") })
		io.On("int", func(int) {})
		io.On("late", func(ctx context.Context, s *socketio.Socket) error {
			<-ctx.Done()
			return s.Emit("gone") // no fault of the app's
		})
	}, func(t *testing.T, h *peer.Host) {
		p, _ := h.Join("/")
		q, _ := h.Join("/")
		p.Send(`2["echo"]`, `2["panic"]`, `2["int","x"]`)
		p.Want(`2["echo"]`)
		h.IO.Emit("all")
		p.Want(`2["all"]`)
		q.Send(`2["late"]`, `2/other,["x"]`)
		q.Want(`2["all"]`, "closed")
		synctest.Wait()
		got := map[string]float64{}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		for name, want := range map[string]float64{
			"sidereal_socketio_sockets":                                  1,
			"sidereal_socketio_events_total in":                          4,
			"sidereal_socketio_events_total out":                         3,
			"sidereal_socketio_panics_total":                             1,
			"sidereal_socketio_undecodable_total":                        1,
			"sidereal_socketio_handler_errors_total":                     0,
			"sidereal_socketio_violations_total state ":                  1,
			"sidereal_socketio_violations_total rate MaxEventsPerSecond": 0,
			"sidereal_engine_sessions websocket":                         1,
			"sidereal_engine_handshakes_total websocket":                 2,
		} {
			if v, ok := got[name]; !ok || v != want {
				t.Errorf("%s is %v (there: %v), want %v", name, v, ok, want)
			}
		}
	})
}
