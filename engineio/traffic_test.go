package engineio

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// TestTraffic sums up lanes.
func TestTraffic(t *testing.T) {
	reg := prometheus.NewRegistry()
	srv, err := New(Config{Open: func(*Session) Receiver { return nil }, Metrics: reg})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		s := &Session{server: srv, id: string(rune('A' + i))}
		srv.traffic.receive(s, 10)
		srv.traffic.send(s, []*Message{NewText([]byte("abc")), NewBinary([]byte("de"))})
	}
	stats := srv.Stats()
	if want := (Traffic{40, 400}); stats.Received != want {
		t.Errorf("received %+v, want %+v", stats.Received, want)
	}
	if want := (Traffic{80, 40 * 5}); stats.Sent != want {
		t.Errorf("sent %+v, want %+v", stats.Sent, want)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			for _, l := range m.Label {
				got[f.GetName()+" "+l.GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if got["sidereal_engine_messages_total in"] != 40 || got["sidereal_engine_messages_total out"] != 80 || got["sidereal_engine_bytes_total in"] != 400 {
		t.Errorf("metrics %v", got)
	}
}
